"""Which USB sticks are plugged in here, for the vendor's desk.

Reads only what the kernel lists. No stick is opened, as a node does to read one: that would take its disk from the
kernel, and the desk wants to write to that disk. Knows nothing of what is on a stick.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from usbwatch.block_device import Machine, disks_of, use_of
from usbwatch.device import Device
from usbwatch.driver import Ids, KeyFault, sane_id
from usbwatch.stick_check import STRING_SECONDS, StickError, usb_string
from usbwatch.sysfs import scan


@dataclass(frozen=True)
class PluggedStick:
    """A stick that is plugged in here.

    `key_id` is its serial number, None where no licence can be bound to it; `disks` are the nodes (`/dev/sdb`) of the
    disks that the kernel has made of it. `trouble` says what keeps it from being written, and what to do.
    """

    device: Device
    key_id: str | None
    disks: tuple[str, ...]
    trouble: str = ""


def plugged_sticks(
    stick_ids: Iterable[Ids], machine: Machine, string_seconds: float = STRING_SECONDS
) -> tuple[PluggedStick, ...]:
    """Return the sticks of these kinds, in order of their ports. A dead one is given up after `string_seconds`.

    Raises:
        OSError: this machine's table of USB devices, or of mounts, cannot be read.
    """
    devices = scan(frozenset(stick_ids), machine.sysfs / "bus/usb/devices")
    ordered = sorted(devices, key=lambda device: device.sysname)
    return tuple(_stick(device, machine, string_seconds) for device in ordered)


def _stick(device: Device, machine: Machine, string_seconds: float) -> PluggedStick:
    disks = tuple(f"/dev/{disk.name}" for disk in disks_of(device.sysname, machine))
    try:
        key_id = sane_id(usb_string(machine.sysfs / "bus/usb/devices" / device.sysname, "serial", string_seconds))
    except (StickError, KeyFault) as error:
        return PluggedStick(device, None, disks, str(error))
    return PluggedStick(device, key_id, disks, _trouble(device, machine))


def _trouble(device: Device, machine: Machine) -> str:
    disks = disks_of(device.sysname, machine)
    if not disks:
        return "The kernel has no disk of it, perhaps since it was read as a key. Plug it in again to write it."
    uses = (use_of(disk, machine) for disk in disks)
    return next((f"It cannot be written while it is in use: {use}." for use in uses if use), "")
