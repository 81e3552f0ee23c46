"""From the vendor's desk to a licensed site, by the commands that people type."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.site import TWINKEY, LiveSite, Status, keys_in
from usbwatch.simulated_key import key_path


def twinkey(*words: str | Path, code: int = 0) -> str:
    """Run a command and return what it prints; it must end with this exit code."""
    done = subprocess.run([TWINKEY, *words], capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def issue(desk: Path, name: str, sequence: int = 1) -> Path:
    """Sign a licence for the USB key UK-1 and return its file."""
    file = desk / f"{name}.lic"
    terms = ("--name", name, "--edition", "basic-paid", "--expires", "2099-01-01", "--hosts", "5", "--usb-key", "UK-1")
    place = ("--lineage", "contract", "--sequence", str(sequence))
    twinkey("issuer", "issue", "--key", desk / "vendor.key", "--out", file, *terms, *place)
    return file


def desk_in(folder: Path) -> Path:
    """Return the folder of a vendor that has just made its signing key."""
    twinkey("issuer", "keygen", "--out", folder)
    return folder


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """Give the folder of a vendor that has just made its signing key."""
    return desk_in(tmp_path / "desk")


@pytest.fixture
def pinned(tmp_path: Path, desk: Path) -> Iterator[LiveSite]:
    """Run a site on which that vendor's keyring is pinned, and no other."""
    site = LiveSite(tmp_path)
    (site.site.folder / "keyring.json").write_bytes((desk / "keyring.json").read_bytes())
    try:
        site.start()
        yield site
    finally:
        site.close()


def names(status: Status) -> tuple[str, str, str]:
    """Return the key state, and name and status of the licence in force."""
    return status["keyState"], status["license"]["name"], status["license"]["status"]


def test_a_licence_written_to_a_key_licenses_the_site(pinned: LiveSite, desk: Path, tmp_path: Path) -> None:
    """keygen, issue and write-key onto a key in node b make both nodes Valid, and `twinkey status` agrees."""
    twinkey("issuer", "write-key", issue(desk, "first"), "--simulated", key_path(pinned.nodes["b"].bus, "UK-1"))
    for status in pinned.wait_for_all(lambda status: status["keyState"] == "Ready"):
        assert keys_in(status) == {"a": {}, "b": {"UK-1": "ok"}}
        assert names(status) == ("Ready", "first", "Valid")
        assert (status["license"]["edition"], status["quota"]) == ("basic-paid", {"hosts": 5})
    for node in pinned.nodes.values():
        shown = twinkey("status", "--url", node.url, "--token-file", tmp_path / "token", "--json")
        assert json.loads(shown) == pinned.status(node.label)


def test_a_key_is_written_again_while_it_is_plugged_in(pinned: LiveSite, desk: Path, tmp_path: Path) -> None:
    """The contract's next licence takes over by itself; an older one does not, and a foreign one makes a Fault."""
    plugged = key_path(pinned.nodes["a"].bus, "UK-1")
    old, new = issue(desk, "old"), issue(desk, "new", sequence=2)
    foreign = issue(desk_in(tmp_path / "other"), "foreign", sequence=3)
    twinkey("issuer", "write-key", old, "--simulated", plugged)
    pinned.wait_for_all(lambda status: names(status) == ("Ready", "old", "Valid"))
    twinkey("issuer", "write-key", new, "--simulated", plugged, code=1)  # nobody is there to be asked
    twinkey("issuer", "write-key", new, "--simulated", plugged, "--yes")
    pinned.wait_for_all(lambda status: names(status) == ("Ready", "new", "Valid"))
    twinkey("issuer", "write-key", foreign, "--simulated", plugged, "--yes")
    pinned.wait_for_all(lambda status: names(status) == ("Fault", "new", "Valid") and status["buffer"])
    twinkey("issuer", "write-key", old, "--simulated", plugged, "--yes")
    pinned.wait_for_all(lambda status: names(status) == ("Ready", "new", "Valid") and not status["buffer"])
