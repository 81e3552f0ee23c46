"""What a key driver is, and the list of them.

A driver knows one kind of licence hardware. It runs inside a worker process that may be killed at any moment,
so it may block, but must keep to its deadline where it can. Nothing here assumes that a key is reached
through pyusb: a driver may as well speak to a maker's library or to a daemon.

A new driver: a module with a function `open_key(device, deadline)` and one entry in `DRIVERS`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from usbwatch.device import Device

Ids = tuple[int, int]
"""A USB vendor id and product id."""

_IDS_TEXT = re.compile(r"([0-9a-fA-F]{4}):([0-9a-fA-F]{4})")
_SANE_ID = re.compile(r"[!-~]{1,64}")


class KeyFault(Exception):  # noqa: N818 - it says what the key has
    """The key is there and cannot be read; the text is a sentence for the operator."""


class KeyGone(Exception):  # noqa: N818 - idem
    """The key was pulled out meanwhile."""


@dataclass(frozen=True)
class Deadline:
    """The moment (monotonic seconds) by which all work on a key must be done."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the deadline that many seconds from now."""
        return cls(time.monotonic() + seconds)

    def milliseconds(self, at_most: int) -> int:
        """Return the time left, capped; never 0, which libusb takes for "wait for ever".

        Raises:
            KeyFault: no time is left.
        """
        left = int((self.at - time.monotonic()) * 1000)
        if left <= 0:
            raise KeyFault("The USB key is too slow: it was not read within the deadline. Re-insert it.")
        return min(left, at_most)


class OpenKey(Protocol):
    """A key that is open for reading. Every call raises KeyFault or KeyGone when it fails."""

    def key_id(self, deadline: Deadline) -> str:
        """Ask the key for its identity."""

    def read(self, limit: int, deadline: Deadline) -> bytes:
        """Read the licence file on the key; KeyFault when it is larger than `limit` bytes."""

    def prove(self, nonce: bytes, deadline: Deadline) -> bytes | None:
        """Let the key sign `licensing.genuine.proof_message`; None when it cannot prove itself."""


@dataclass(frozen=True)
class Description:
    """What a writable key tells of itself: sizes in bytes, and its device public key if it can prove itself."""

    size: int
    capacity: int
    device_public_key: bytes | None


@runtime_checkable
class WritableKey(Protocol):
    """A key that the vendor's desk can load a licence onto."""

    def describe(self, deadline: Deadline) -> Description:
        """Ask the key what it is."""

    def write(self, blob: bytes, deadline: Deadline) -> None:
        """Replace the licence file on the key, all or nothing."""


class OpenFunction(Protocol):
    """The function `open_key` of a driver's module."""

    def __call__(self, device: Device, deadline: Deadline) -> AbstractContextManager[OpenKey]:
        """Open the key; leaving the context releases everything."""


@dataclass(frozen=True)
class Driver:
    """One kind of key: its name, the devices it claims, and the module that drives them.

    The module is named, not imported: only a worker needs it.
    """

    name: str
    claims: frozenset[Ids]
    module: str


_VENDOR_KEY = Driver(
    name="vendor-key",
    # A place-holder under pid.codes' vendor id, until the hardware is given a product id of its own.
    claims=frozenset({(0x1209, 0xA1A1)}),
    module="usbwatch.vendor_key",
)
# Claims nothing by itself: which sticks hold a licence is a setting, and no other stick is ever opened.
_MASS_STORAGE = Driver(name="mass-storage", claims=frozenset(), module="usbwatch.mass_storage")

DRIVERS: tuple[Driver, ...] = (_VENDOR_KEY, _MASS_STORAGE)


def parse_ids(text: str) -> Ids:
    """Return the ids that "0781:5567" names: vendor and product in hexadecimal, four digits each.

    Raises:
        ValueError: the text is anything else.
    """
    match = _IDS_TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} does not name a kind of USB device: write it as lsusb does, as 0781:5567.")
    return int(match[1], 16), int(match[2], 16)


def drivers_with(stick_ids: Iterable[Ids]) -> tuple[Driver, ...]:
    """Return the drivers when USB sticks of these kinds hold licences.

    Raises:
        ValueError: such a device is a key of another kind.
    """
    sticks = frozenset(stick_ids)
    for vendor, product in sorted(sticks & claims_of(DRIVERS)):
        raise ValueError(f"{vendor:04x}:{product:04x} is not a USB stick but a licence key: do not list it as a stick.")
    return tuple(
        replace(driver, claims=driver.claims | sticks) if driver is _MASS_STORAGE else driver for driver in DRIVERS
    )


def claims_of(drivers: Iterable[Driver]) -> frozenset[Ids]:
    """Return what these drivers claim; no other device is ever opened."""
    return frozenset().union(*(driver.claims for driver in drivers))


def driver_for(device: Device, drivers: Iterable[Driver] = DRIVERS) -> Driver | None:
    """Return the driver that claims this device; None means: not ours, never open it."""
    return next((driver for driver in drivers if (device.vendor, device.product) in driver.claims), None)


def driver_named(name: str, drivers: Iterable[Driver] = DRIVERS) -> Driver:
    """Return the driver of this name.

    Raises:
        KeyFault: there is none.
    """
    for driver in drivers:
        if driver.name == name:
            return driver
    raise KeyFault(f"There is no driver {name!r} for USB keys: the agent and its reader differ in version. Restart it.")


def sane_id(key_id: str) -> str:
    """Return the identity if it can be shown and stored: 1 to 64 visible ASCII characters; else KeyFault."""
    if _SANE_ID.fullmatch(key_id) is None:
        raise KeyFault("The USB key has no usable serial number: ask the vendor to replace it.")
    return key_id
