"""Which claimed devices are plugged in, from the kernel's own tables.

Only attributes that the kernel keeps in memory are read. `serial` and the other strings are not among them:
reading `serial` of a dead device was seen to block for 83 seconds. No device is opened here.
"""

from __future__ import annotations

import errno
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
        names = [entry.name for entry in root.iterdir() if ":" not in entry.name]  # with a colon: an interface
    except FileNotFoundError:
        return frozenset()
    devices = (_device(root / name) for name in names)
    return frozenset(device for device in devices if device and (device.vendor, device.product) in claims)


def _device(directory: Path) -> Device | None:
    try:
        return Device(
            sysname=directory.name,
            bus=int(_attribute(directory, "busnum")),
            address=int(_attribute(directory, "devnum")),
            vendor=int(_attribute(directory, "idVendor"), 16),
            product=int(_attribute(directory, "idProduct"), 16),
        )
    except ValueError:
        return None  # half set up: it announces itself again
    except OSError as error:
        if error.errno in _VANISHED:
            return None
        raise


def _attribute(directory: Path, name: str) -> str:
    return (directory / name).read_text(encoding="ascii")
