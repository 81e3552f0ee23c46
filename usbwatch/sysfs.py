"""Which claimed devices are plugged in, from the kernel's own tables.

Only attributes that the kernel keeps in memory are read. `serial` and the other strings are not among them:
reading `serial` of a dead device was seen to block for 83 seconds. No device is opened here.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Set as AbstractSet
from pathlib import Path

from usbwatch.device import Device

USB_DEVICES = Path("/sys/bus/usb/devices")

_VANISHED = {errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ENOTDIR}


def scan(claims: AbstractSet[tuple[int, int]], root: Path = USB_DEVICES) -> frozenset[Device]:
    """Return the plugged devices whose (vendor id, product id) is claimed; none when the kernel has no USB.

    Raises:
        OSError: the tables are there and cannot be read, which does not mean that nothing is plugged in.
    """
    try:
        names = [name for name in os.listdir(root) if ":" not in name]  # noqa: PTH208 - as below; with a colon: an interface
    except FileNotFoundError:
        return frozenset()
    devices = (_device(root, name, claims) for name in names)
    return frozenset(device for device in devices if device)


def _device(root: Path, sysname: str, claims: AbstractSet[tuple[int, int]]) -> Device | None:
    """Return the device if it is claimed; of any other nothing but its ids is looked at."""
    directory = f"{root}/{sysname}"
    try:
        vendor, product = int(_attribute(directory, "idVendor"), 16), int(_attribute(directory, "idProduct"), 16)
        if (vendor, product) not in claims:
            return None
        bus, address = int(_attribute(directory, "busnum")), int(_attribute(directory, "devnum"))
        return Device(sysname=sysname, bus=bus, address=address, vendor=vendor, product=product)
    except ValueError:
        return None  # half set up: it announces itself again
    except OSError as error:
        if error.errno in _VANISHED:
            return None
        raise


def _attribute(directory: str, name: str) -> str:
    """Return a short attribute; an idle agent does nothing as often as this, so it does it with three system calls."""
    descriptor = os.open(f"{directory}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 64).decode("ascii")
    finally:
        os.close(descriptor)
