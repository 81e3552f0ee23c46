"""The driver of ordinary USB sticks that carry a licence, by the layout in `usbwatch.stick_layout`.

The stick is read past the kernel, never through its block device: a stick that stops answering would keep
whoever reads `/dev/sdX` for half a minute, deaf to every signal. So the kernel's driver is detached, and is
not attached again: nothing is to scan or mount a licence key. It comes back when the stick is plugged in again.
For the same reason a stick that is in use is refused: its file system would lose its disk.

A stick cannot prove itself; everything on it can be copied, and a serial number can be forged.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from usbwatch.block_device import Machine, disks_of, use_of
from usbwatch.bulk_only import INTERFACE, BulkOnly
from usbwatch.device import Device
from usbwatch.driver import Deadline, KeyFault
from usbwatch.pyusb_device import UsbDevice, opened
from usbwatch.scsi_disk import ScsiDisk
from usbwatch.stick_layout import BadLayout, Geometry, read_licence


@contextmanager
def open_key(device: Device, deadline: Deadline) -> Iterator[StickKey]:
    """Open the stick for reading, unless it is in use; leaving the context releases it."""
    refuse_in_use(device, Machine())
    with opened(device, INTERFACE, deadline) as usb_device:
        yield StickKey(usb_device)


class StickKey:
    """One open stick."""

    def __init__(self, device: UsbDevice) -> None:
        self._device = device

    def key_id(self, deadline: Deadline) -> str:
        """Ask the stick for its serial number."""
        return self._device.serial_number(deadline)

    def read(self, limit: int, deadline: Deadline) -> bytes:
        """Read the licence file."""
        disk = ScsiDisk(BulkOnly(self._device))
        disk.start(deadline)
        geometry = Geometry(*disk.capacity(deadline))
        blocks = lambda first, count: disk.read(first, count, geometry.block_size, deadline)  # noqa: E731
        try:
            return read_licence(blocks, geometry, limit)
        except BadLayout as fault:
            raise KeyFault(str(fault)) from fault

    def prove(self, nonce: bytes, deadline: Deadline) -> None:
        """Return None: a stick cannot prove itself."""


def refuse_in_use(device: Device, machine: Machine) -> None:
    """Do nothing if nobody uses a disk of this device.

    Raises:
        KeyFault: somebody does, who is named.
    """
    for disk in disks_of(device.sysname, machine):
        use = use_of(disk, machine)
        if use is not None:
            raise KeyFault(f"The USB key cannot be read while its disk is in use: {use}.")
