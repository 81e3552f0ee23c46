"""`twinkey issuer usb-keys` on a bus made of software."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import Any

from tests.usbmodel.testbed import KEYBOARD, Key, UmockBus
from tests.usbmodel.vendor import Vendor


def listed(umock_bus: UmockBus, *arguments: str) -> str:
    """Run the command and return what it said."""
    code = "from console.issuer import issuer; issuer()"
    argv = [sys.executable, "-c", code, "usb-keys", *arguments]
    process = umock_bus.spawn(argv, stdout=subprocess.PIPE)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    return said.decode()


def test_keys_are_listed_with_what_a_licence_must_name(umock_bus: UmockBus, vendor: Vendor) -> None:
    """Each key is there with its public key if it has one, a broken one with the reason, and nothing else."""
    licence = vendor.licence_file("LK-2", proving=False)
    umock_bus.plug_other("1-1", KEYBOARD, "kbd", driver="usbhid")
    umock_bus.plug("1-2", Key("LK-1", b"", vendor.device_key))
    umock_bus.plug("1-3", Key("LK-2", licence))
    umock_bus.plug("1-4", Key("LK-3", b"", fault="stall"))
    keys: list[dict[str, Any]] = json.loads(listed(umock_bus, "--json"))
    public_key = base64.b64encode(vendor.device.public_key().public_bytes_raw()).decode()
    shown = [(key["place"], key["keyId"], key["size"], key["devicePublicKey"]) for key in keys]
    assert shown == [
        ("port 1-2", "LK-1", 0, public_key),
        ("port 1-3", "LK-2", len(licence), None),
        ("port 1-4", "LK-3", None, None),
    ]
    assert "refused to answer" in keys[2]["trouble"]
    assert umock_bus.touched("1-1") == 0


def test_people_can_copy_the_public_key(umock_bus: UmockBus, vendor: Vendor) -> None:
    """The public key stands there whole; without a key a sentence says so."""
    assert listed(umock_bus) == "No USB key is plugged in here.\n"
    umock_bus.plug("1-2", Key("LK-1", b"", vendor.device_key))
    assert base64.b64encode(vendor.device.public_key().public_bytes_raw()).decode() in listed(umock_bus)
