"""`twinkey issuer write-key` with simulated keys, and what it refuses to take for a USB stick."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from console.write_key import write_key
from licensing.envelope import peek, seal
from licensing.licence import SiteBinding
from tests.usbmodel.vendor import Vendor
from usbwatch.simulated_key import SimulatedKey, parse_key_file, write_key_file


@pytest.fixture(scope="module")
def vendor() -> Vendor:
    """Give a vendor with throw-away keys."""
    return Vendor()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """Give the place of a simulated key's file."""
    return tmp_path / "bus" / "K1.ukey"


def run(folder: Path, licence: bytes, *arguments: str, answer: str = "") -> Result:
    """Run the command on a licence file with these bytes."""
    file = folder / "licence"
    file.write_bytes(licence)
    return CliRunner().invoke(write_key, [str(file), *arguments], input=answer)


def on(path: Path) -> SimulatedKey:
    """Return the key in this file."""
    key = parse_key_file(path.read_bytes())
    assert isinstance(key, SimulatedKey)
    return key


def test_a_new_simulated_key_is_made(tmp_path: Path, key_file: Path, vendor: Vendor) -> None:
    """A file that is missing becomes the key that the licence names."""
    licence = vendor.licence_file("K1", proving=False)
    assert run(tmp_path, licence, "--simulated", str(key_file)).exit_code == 0
    assert on(key_file) == SimulatedKey("K1", licence)


def test_a_licence_is_overwritten_only_when_told_so(tmp_path: Path, key_file: Path, vendor: Vendor) -> None:
    """The command asks, and `--yes` answers; the device key stays in the key."""
    write_key_file(key_file, SimulatedKey("K1", b"old", device_private_key=vendor.device_key))
    licence = vendor.licence_file("K1")
    where = ("--simulated", str(key_file))
    assert run(tmp_path, licence, *where, answer="n\n").exit_code == 1
    assert on(key_file).licence_file == b"old"
    assert run(tmp_path, licence, *where, answer="y\n").exit_code == 0
    assert run(tmp_path, licence, *where, "--yes").exit_code == 0
    assert on(key_file) == SimulatedKey("K1", licence, device_private_key=vendor.device_key)


def test_a_licence_of_another_key_is_refused(tmp_path: Path, key_file: Path, vendor: Vendor) -> None:
    """A key never gets a licence that it could not use."""
    write_key_file(key_file, SimulatedKey("K1"))
    result = run(tmp_path, vendor.licence_file("K2", proving=False), "--simulated", str(key_file))
    assert (result.exit_code, "bound to the key K2" in result.output) == (1, True)
    assert on(key_file).licence_file == b""


def test_a_licence_cannot_command_the_terminal(tmp_path: Path, key_file: Path, vendor: Vendor) -> None:
    """Nobody has verified the licence: control characters in the id that it names come to nothing."""
    write_key_file(key_file, SimulatedKey("K1"))
    refused = run(tmp_path, vendor.licence_file("K\x1b[2J", proving=False), "--simulated", str(key_file))
    written = run(tmp_path, vendor.licence_file("K\x1b[2J", proving=False), "--simulated", str(tmp_path / "new"))
    again = run(tmp_path, vendor.licence_file("K\x1b[2J", proving=False), "--simulated", str(tmp_path / "new"))
    for said in (refused.output, written.output, again.output):
        assert ("K\N{REPLACEMENT CHARACTER}[2J" in said, "\x1b" in said) == (True, False)


def test_a_licence_of_another_device_key_is_refused_with_the_right_one(
    tmp_path: Path, key_file: Path, vendor: Vendor
) -> None:
    """The vendor is told with which device key to issue the licence again."""
    write_key_file(key_file, SimulatedKey("K1", device_private_key=bytes(32)))
    result = run(tmp_path, vendor.licence_file("K1"), "--simulated", str(key_file))
    assert (result.exit_code, "with --device-public-key" in result.output) == (1, True)


def test_a_licence_that_asks_for_a_proof_is_refused_by_a_plain_key(
    tmp_path: Path, key_file: Path, vendor: Vendor
) -> None:
    """A key without a device key could never prove itself."""
    result = run(tmp_path, vendor.licence_file("K1"), "--simulated", str(key_file))
    assert (result.exit_code, "without --device-public-key" in result.output) == (1, True)
    assert not key_file.exists()


def test_a_site_licence_is_refused(tmp_path: Path, key_file: Path, vendor: Vendor) -> None:
    """A licence bound to a site has no place on a key."""
    claim = peek(vendor.licence_file("K1"))
    licence = replace(claim.licence, binding=SiteBinding("site", ("node",), "nonce"))
    result = run(tmp_path, seal(licence, claim.kid, vendor.private), "--simulated", str(key_file))
    assert (result.exit_code, "bound to a site" in result.output) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [[], ["--simulated", "x", "--usb", "K1"], ["--stick", "x", "--usb", "K1"], ["--stick", "x", "--simulated", "x"]],
    ids=["none", "simulated-usb", "stick-usb", "stick-simulated"],
)
def test_one_key_must_be_named(tmp_path: Path, vendor: Vendor, arguments: list[str]) -> None:
    """None and two are errors of usage."""
    assert run(tmp_path, vendor.licence_file("K1"), *arguments).exit_code == 2


@pytest.mark.parametrize("kind", ["file", "missing", "folder", "terminal"])
def test_what_is_no_stick_is_left_alone(tmp_path: Path, vendor: Vendor, kind: str) -> None:
    """Whatever else is named by mistake, the answer is one sentence and nothing is written."""
    image = tmp_path / "file"
    image.write_bytes(b"my diary")
    place = {"file": image, "missing": tmp_path / "missing", "folder": tmp_path, "terminal": Path("/dev/null")}[kind]
    result = run(tmp_path, vendor.licence_file("K1", proving=False), "--stick", str(place), "--yes")
    assert (result.exit_code, result.output.startswith(f"Error: {place}")) == (1, True)
    assert "Name the stick's device" in result.output
    assert image.read_bytes() == b"my diary"


def test_what_is_no_licence_is_refused(tmp_path: Path, key_file: Path) -> None:
    """Anything but a licence file is refused before the key is touched."""
    result = run(tmp_path, b"<html>", "--simulated", str(key_file))
    assert (result.exit_code, key_file.exists()) == (1, False)


def test_a_file_that_is_no_key_is_left_alone(tmp_path: Path, key_file: Path, vendor: Vendor) -> None:
    """A file that holds something else is not overwritten."""
    key_file.parent.mkdir()
    key_file.write_bytes(b"my diary")
    result = run(tmp_path, vendor.licence_file("K1", proving=False), "--simulated", str(key_file), "--yes")
    assert (result.exit_code, key_file.read_bytes()) == (1, b"my diary")


def test_a_usb_key_that_is_not_plugged_in_is_named(tmp_path: Path, vendor: Vendor) -> None:
    """The message says which key is missing."""
    name = f"K-{dt.datetime.now(dt.UTC).timestamp()}"
    result = run(tmp_path, vendor.licence_file(name), "--usb", name)
    assert (result.exit_code, f"{name} is not plugged in" in result.output) == (1, True)
