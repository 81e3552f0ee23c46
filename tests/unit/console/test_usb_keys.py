"""What `twinkey issuer usb-keys` makes of the keys that it finds."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from console.issuer import issuer
from console.usb_keys import facts_of, lines_of
from usbwatch.desk import PluggedKey
from usbwatch.device import Device
from usbwatch.messages import Described
from usbwatch.stick_list import PluggedStick

DEVICE = Device("1-2.4", 1, 7, 0x1209, 0xA1A1)
PROVING = PluggedKey(DEVICE, "vendor-key", "LK-1", Described("LK-1", 0, 65536, bytes(32)))
PLAIN = PluggedKey(DEVICE, "vendor-key", "LK-2", Described("LK-2", 700, 65536, None))
STICK = PluggedStick(DEVICE, "4C53", ("/dev/sdb", "/dev/sdc"))
TAKEN = PluggedStick(DEVICE, "4C53", (), "The kernel has no disk of it. Plug it in again.")
BROKEN = PluggedKey(DEVICE, "vendor-key", None, None, "The USB key refused to answer (stall). Re-insert it.")


def test_a_key_is_listed_with_its_public_key() -> None:
    """What `issue --device-public-key` takes can be copied."""
    assert lines_of(PROVING) == [
        ("Place", "port 1-2.4"),
        ("Kind", "vendor-key"),
        ("Key", "LK-1"),
        ("On it", "0 of 65536 bytes"),
        ("Device public key", "A" * 43 + "="),
    ]


def test_a_key_that_cannot_prove_itself_is_said_to_be_copyable() -> None:
    """Nobody looks for a public key that is not there."""
    assert lines_of(PLAIN)[-1] == ("Device public key", "none: it can be copied")


def test_a_key_that_tells_nothing_is_listed_with_the_reason() -> None:
    """Who sees no id sees why."""
    assert lines_of(BROKEN)[2:] == [("Key", "unknown"), ("Trouble", BROKEN.trouble)]


def test_a_stick_is_listed_with_how_to_write_it() -> None:
    """Its id, its disks, and the words for `write-key`; nothing about it is a trouble."""
    assert lines_of(STICK)[1:] == [
        ("Kind", "mass-storage"),
        ("Key", "4C53"),
        ("Disk", "/dev/sdb, /dev/sdc"),
        ("Device public key", "none: it can be copied"),
        ("Next", "Write it with --stick /dev/sdb."),
    ]


def test_a_stick_that_cannot_be_written_now_says_why() -> None:
    """Its id is told nevertheless: a licence can be made for it."""
    assert lines_of(TAKEN)[2:] == [("Key", "4C53"), ("Disk", "none"), ("Trouble", TAKEN.trouble)]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (PROVING, ("vendor-key", "LK-1", 0, 65536, "A" * 43 + "=", (), None)),
        (PLAIN, ("vendor-key", "LK-2", 700, 65536, None, (), None)),
        (BROKEN, ("vendor-key", None, None, None, None, (), BROKEN.trouble)),
        (STICK, ("mass-storage", "4C53", None, None, None, ("/dev/sdb", "/dev/sdc"), None)),
        (TAKEN, ("mass-storage", "4C53", None, None, None, (), TAKEN.trouble)),
    ],
    ids=["proving", "plain", "broken", "stick", "taken"],
)
def test_machines_get_the_same_facts(key: PluggedKey | PluggedStick, expected: tuple[object, ...]) -> None:
    """Every fact has a member of its own, null where the key does not say."""
    facts = facts_of(key)
    names = ("kind", "keyId", "size", "capacity", "devicePublicKey", "disks", "trouble")
    assert tuple(facts[name] for name in names) == expected
    assert (facts["place"], len(facts)) == ("port 1-2.4", len(names) + 1)


@pytest.mark.parametrize(
    ("stick", "expected"), [("0781", "as 0781:5567"), ("1209:a1a1", "not a USB stick")], ids=["malformed", "a-key"]
)
def test_sticks_that_make_no_sense_are_refused(stick: str, expected: str) -> None:
    """What is no kind of USB stick is told before any device is opened."""
    result = CliRunner().invoke(issuer, ["usb-keys", "--stick", stick])
    assert result.exit_code != 0
    assert expected in " ".join(result.output.split())
