"""What `twinkey issuer usb-keys` makes of the keys that it finds."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from console.issuer import issuer
from console.usb_keys import facts_of, lines_of
from usbwatch.desk import PluggedKey
from usbwatch.device import Device
from usbwatch.messages import Described

DEVICE = Device("1-2.4", 1, 7, 0x1209, 0xA1A1)
PROVING = PluggedKey(DEVICE, "vendor-key", "LK-1", Described("LK-1", 0, 65536, bytes(32)))
PLAIN = PluggedKey(DEVICE, "vendor-key", "LK-2", Described("LK-2", 700, 65536, None))
STICK = PluggedKey(DEVICE, "mass-storage", "4C53", None, "A USB key of this kind cannot be written.")
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


def test_a_key_that_cannot_be_described_is_listed_with_its_id() -> None:
    """A stick has an id to which a licence can be bound; a key that does not even tell that says why."""
    assert lines_of(STICK)[2:] == [("Key", "4C53"), ("Trouble", STICK.trouble)]
    assert lines_of(BROKEN)[2:] == [("Key", "unknown"), ("Trouble", BROKEN.trouble)]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (PROVING, ("LK-1", 0, 65536, "A" * 43 + "=", None)),
        (PLAIN, ("LK-2", 700, 65536, None, None)),
        (STICK, ("4C53", None, None, None, STICK.trouble)),
    ],
    ids=["proving", "plain", "stick"],
)
def test_machines_get_the_same_facts(key: PluggedKey, expected: tuple[object, ...]) -> None:
    """Every fact has a member of its own, null where the key does not say."""
    facts = facts_of(key)
    names = ("keyId", "size", "capacity", "devicePublicKey", "trouble")
    assert tuple(facts[name] for name in names) == expected
    assert (facts["place"], facts["kind"]) == ("port 1-2.4", key.kind)


@pytest.mark.parametrize(
    ("stick", "expected"), [("0781", "as 0781:5567"), ("1209:a1a1", "not a USB stick")], ids=["malformed", "a-key"]
)
def test_sticks_that_make_no_sense_are_refused(stick: str, expected: str) -> None:
    """What is no kind of USB stick is told before any device is opened."""
    result = CliRunner().invoke(issuer, ["usb-keys", "--stick", stick])
    assert result.exit_code != 0
    assert expected in " ".join(result.output.split())
