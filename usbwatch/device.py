"""One USB device as the kernel lists it. Knows its address and never its content."""

from __future__ import annotations

from msgspec import Struct


class Device(Struct, frozen=True, forbid_unknown_fields=True):
    """A plugged device: where it is, and what kind it says it is.

    `sysname` is the kernel's name of the port (`1-2.4`). The kernel gives a device that is plugged in again
    another `address`, so two equal values mean the same device, plugged in all the time.
    """

    sysname: str
    bus: int
    address: int
    vendor: int
    product: int

    @property
    def node(self) -> str:
        """The device node through which it is read."""
        return f"/dev/bus/usb/{self.bus:03d}/{self.address:03d}"

    @property
    def place(self) -> str:
        """Where it is plugged in, for people; no key can have this as its id, since it has a space."""
        return f"port {self.sysname}"
