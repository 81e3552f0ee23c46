"""A small file of a daemon's own: written when it has to be, told once when it cannot be, and tried again."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from cluster.kept_file import KeptFile


def test_what_the_disk_has_is_not_written_again(tmp_path: Path) -> None:
    """Neither what was written nor what was read; anything else is."""
    path = tmp_path / "file"
    KeptFile(path, "not kept").keep(b"1")
    first = path.stat().st_ino
    file = KeptFile(path, "not kept")
    assert file.read() == b"1"
    assert file.keep(b"1")
    assert path.stat().st_ino == first
    assert file.keep(b"2")
    assert path.read_bytes() == b"2"


def test_a_file_that_was_removed_is_written_again(tmp_path: Path) -> None:
    """Its folder too."""
    file = KeptFile(tmp_path / "state" / "file", "not kept")
    assert file.keep(b"1")
    file.path.unlink()
    file.path.parent.rmdir()
    assert file.keep(b"1")
    assert file.path.read_bytes() == b"1"


def test_each_time_that_the_disk_fails_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is to be kept meanwhile; and it is written as soon as it can be."""
    caplog.set_level(logging.ERROR)
    file = KeptFile(tmp_path / "file", "not kept")
    for told in (1, 2):
        file.path.mkdir()
        assert [file.keep(data) for data in (b"1", b"2", b"2")] == [False] * 3
        assert [record.message for record in caplog.records] == ["not kept"] * told
        file.path.rmdir()
        assert file.keep(b"2")
        assert file.path.read_bytes() == b"2"
        file.path.unlink()
