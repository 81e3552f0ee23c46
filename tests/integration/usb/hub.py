"""Genuine keys for the bus made of software, one by one and as a hub full of them."""

from __future__ import annotations

from licensing.seen import Reading
from tests.usbmodel.testbed import Key, UmockBus
from tests.usbmodel.vendor import Vendor
from usbwatch.bus import KeySet


def genuine(vendor: Vendor, serial: str, fault: str = "") -> Key:
    """Return a key as the vendor ships it."""
    return Key(serial, vendor.licence_file(serial), vendor.device_key, fault)


def plug_eight(umock_bus: UmockBus, vendor: Vendor) -> None:
    """Plug a hub full of keys in."""
    for number in range(8):
        umock_bus.plug(f"1-{number + 1}", genuine(vendor, f"LK-{number}"))


def unplug_eight(umock_bus: UmockBus) -> None:
    """Pull it out."""
    for number in range(8):
        umock_bus.unplug(f"1-{number + 1}")


def all_ok(keys: KeySet) -> bool:
    """Tell whether eight keys are there and all have been read."""
    return [key.reading for key in keys] == [Reading.OK] * 8
