"""`twinkey site roles` as somebody meets it whose etcd cannot be asked, and what is told in front of it."""

from __future__ import annotations

import datetime as dt
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from console.main import main
from console.site_next import KEEPALIVED, LINK
from console.site_settings import ETC
from tests.unit.console.founding import ALONE, found_in

PEM, KEY = "authority/root.pem", "authority/root.key"
RENEW = "run `twinkey site renew`"


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """Return the files of a site of one node that was founded just now."""
    found_in(tmp_path / "etc", ALONE, dt.datetime.now(dt.UTC))
    return tmp_path / "etc"


def refusal(etc: Path, *more: str) -> str:
    """Return why the roles cannot be given."""
    answer = CliRunner().invoke(
        main, ["site", "roles", "--etc", str(etc), "--wait", "0", *more], catch_exceptions=False
    )
    assert answer.exit_code == 1
    assert "Start etcd" not in answer.output
    return answer.output


@pytest.mark.parametrize("path", [PEM, KEY])
def test_a_certificate_of_root_that_is_missing_is_told(etc: Path, path: str) -> None:
    """With the command that makes it anew."""
    (etc / path).unlink()
    told = refusal(etc)
    assert f"{etc / path} is missing" in told
    assert RENEW in told


def test_an_authority_that_is_missing_is_told(etc: Path) -> None:
    """It is not made anew."""
    (etc / "ca.pem").unlink()
    assert f"{etc / 'ca.pem'} is missing: restore it" in refusal(etc)


@pytest.mark.parametrize("path", [PEM, KEY])
def test_a_certificate_of_root_that_is_damaged_is_told(etc: Path, path: str) -> None:
    """Whichever half it is."""
    (etc / path).write_bytes(b"nonsense")
    assert RENEW in refusal(etc)


def test_a_key_of_another_certificate_is_told(etc: Path) -> None:
    """The pair does not fit together."""
    (etc / KEY).write_bytes((etc / "agent/etcd.key").read_bytes())
    told = refusal(etc)
    assert "do not fit together" in told
    assert RENEW in told


def test_a_certificate_of_root_that_has_ended_is_told(tmp_path: Path) -> None:
    """Before etcd is asked, which would not answer."""
    found_in(tmp_path / "etc", ALONE, dt.datetime.now(dt.UTC) - dt.timedelta(days=400))
    told = refusal(tmp_path / "etc")
    assert f"{PEM} has ended" in told
    assert RENEW in told


@pytest.mark.parametrize("text", ["nonsense", "http://a:1", "a:b", ":2379", "2001:db8::1", ""])
def test_an_endpoint_that_is_none_is_told(etc: Path, text: str) -> None:
    """With how it is written."""
    assert f"--endpoints {text}: write HOST:PORT" in refusal(etc, "--endpoints", text)


def test_keepalived_is_linked_once(tmp_path: Path) -> None:
    """What is told can be done again, and does not touch the settings of something else."""
    ours, link = tmp_path / "twinkey/keepalived.conf", tmp_path / "keepalived.conf"
    ours.parent.mkdir()
    ours.write_text("ours", encoding="utf-8")
    command = LINK.replace(KEEPALIVED, str(link)).replace(ETC, str(ours.parent))

    def done() -> bool:
        return subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=False, timeout=10).returncode == 0

    assert [done(), done()] == [True, True]
    assert link.readlink() == ours
    link.unlink()
    link.write_text("another's", encoding="utf-8")
    assert not done()
    assert link.read_text(encoding="utf-8") == "another's"
