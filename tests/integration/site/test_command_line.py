"""Licensing a site by the commands that people type: from the vendor's desk, and on a node's console without etcd."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.site import KEYS, TWINKEY, LiveSite, Status
from usbwatch.simulated_key import key_path


class Desk:
    """A running site, a vendor whose keyring is pinned on it, and an operator's shell."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.site = LiveSite(folder)
        self.vendor = folder / "vendor"
        self.run("issuer", "keygen", "--out", self.vendor)
        self.keyring = self.vendor / "keyring.json"
        (folder / "keyring.json").write_bytes(self.keyring.read_bytes())

    def run(self, *words: str | Path, code: int = 0) -> str:
        """Run a command and return what it prints; it must end with this exit code."""
        done = subprocess.run(
            [TWINKEY, *words], capture_output=True, text=True, check=False, timeout=60, cwd=self.folder
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def at(self, label: str, *words: str | Path, code: int = 0) -> str:
        """Run a command against a node, with the site's token."""
        return self.run(*words, "--url", self.site.nodes[label].url, "--token-file", self.folder / "token", code=code)

    def on_console(self, label: str, *words: str | Path, code: int = 0) -> str:
        """Run a command on a node's console: over the root-only socket."""
        return self.run(*words, "--socket", f"{label}/coordinator.sock", code=code)

    def answer_to(self, request_code: str) -> Path:
        """Let the vendor answer a request code with a licence for ten hosts; return the archive."""
        asked, archive = self.folder / "request.txt", self.folder / "acme.zip"
        asked.write_text(request_code, encoding="utf-8")
        terms = ("--name", "Acme", "--edition", "basic-paid", "--hosts", "10", "--expires", "2099-01-01")
        place = ("--key", self.vendor / "vendor.key", "--request-code", asked, "--out", archive)
        self.run("issuer", "issue", *place, *terms)
        return archive


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Give a desk whose site answers."""
    desk = Desk(tmp_path)
    try:
        desk.site.start()
        yield desk
    finally:
        desk.site.close()


def is_acme(status: Status) -> bool:
    """Whether the licence that was asked for is in force."""
    return (status["license"]["name"], status["license"]["status"]) == ("Acme", "Valid")


def test_from_the_request_code_to_a_valid_site(desk: Desk) -> None:
    """What the vendor answers to node a's request code is installed at node b, is valid on both, and is recorded."""
    archive = desk.answer_to(desk.at("a", "request-code"))
    assert "Acme, Valid" in desk.at("b", "license", "inspect", archive)
    assert "Installed Acme." in desk.at("b", "license", "install", archive)
    desk.site.wait_for_all(is_acme)
    for label in desk.site.nodes:
        assert "unknown of 10 hosts" in desk.at(label, "license", "get")
    assert "nothing changed" in desk.at("a", "license", "install", archive)
    rows = json.loads(desk.at("a", "records", "--json"))["inventories"]
    assert {"installed", "trial-ended", "trial-started"} == {row["action"] for row in rows}
    assert "All 3 records are as they were written." in desk.at("b", "records", "verify")


def test_an_altered_record_is_found(desk: Desk) -> None:
    """A record that somebody rewrites in etcd is named, by every node; put back, the history is whole again."""
    place = KEYS.record(0)
    with desk.site.tampered(place, desk.site.read(place).value.replace(b"30 days", b"90 days")):
        for label in desk.site.nodes:
            assert "record 0 was altered" in desk.at(label, "records", "verify", code=1)
    desk.at("a", "records", "verify")


def test_over_the_quota_a_console_can_still_install(desk: Desk) -> None:
    """Above the quota a node may not start; a licence that covers it, installed on the console, lets it start again."""
    desk.at("a", "usage", "set", "--hosts", "3")
    desk.site.wait_for_all(lambda status: not status["startAllowed"])
    assert "may not start" in desk.on_console("a", "start-check", code=4)
    desk.at("a", "license", "get", code=4)
    desk.on_console("a", "license", "install", desk.answer_to(desk.on_console("a", "request-code")))
    desk.on_console("a", "start-check")
    rows = json.loads(desk.at("a", "records", "--json"))["inventories"]
    assert [row["who"] for row in rows if row["action"] == "installed"] == ["console"]


def test_without_etcd_a_licence_waits_on_the_console(desk: Desk) -> None:
    """It is verified and spooled, a node may start, and it is installed when etcd is back."""
    archive = desk.answer_to(desk.at("a", "request-code"))
    spool = ("--spool", desk.folder / "spool")
    desk.site.etcd.stop()
    desk.site.wait_for("a", lambda status: status["stale"], within=15)
    told = desk.on_console("a", "license", "install", archive, *spool, "--keyring", desk.keyring, code=5)
    assert "NOT installed yet" in told
    assert "is genuine" in told
    assert "stale" in desk.on_console("a", "start-check")
    desk.site.start()
    assert "Installed Acme." in desk.on_console("a", "license", "install", "--spooled", *spool)
    desk.site.wait_for_all(is_acme)
    assert "Nothing waits" in desk.on_console("a", "license", "install", "--spooled", *spool)


def test_keys_are_synchronised_and_listed(desk: Desk) -> None:
    """A key that the vendor wrote is read again on demand, shows its licence, and is listed with its node."""
    key = desk.folder / "k1.licence"
    terms = ("--name", "K1", "--edition", "basic-paid", "--hosts", "5", "--expires", "2099-01-01", "--usb-key", "K1")
    desk.run("issuer", "issue", "--key", desk.vendor / "vendor.key", "--out", key, *terms)
    desk.run("issuer", "write-key", key, "--simulated", key_path(desk.site.nodes["b"].bus, "K1"))
    desk.site.wait_for_all(lambda status: status["keyState"] == "Ready")
    assert "Synchronised K1." in desk.at("a", "license", "sync", "--node", "b")
    assert "K1" in desk.at("a", "keys")
    assert "USB key K1" in desk.at("a", "license", "get")
