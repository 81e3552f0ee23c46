"""Block devices as the kernel lists them: which belong to a USB device, and what uses them.

Opens no device and reads none. Knows nothing of licences.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MOUNTS, _SWAPS = "self/mountinfo", "swaps"
_ESCAPED = re.compile(r"\\([0-7]{3})")
_NUMBER, _MOUNT_POINT = 2, 4  # fields of a line of mountinfo


@dataclass(frozen=True)
class Machine:
    """Where the kernel's tables are."""

    sysfs: Path = Path("/sys")
    proc: Path = Path("/proc")


def disks_of(usb_device: str, machine: Machine) -> tuple[Path, ...]:
    """Return the directories in sysfs of the disks that a USB device (`1-2.4`) has, in order of name."""
    device = machine.sysfs / "bus/usb/devices" / usb_device
    try:
        return tuple(sorted(device.glob("*:*/host*/target*/*/block/*")))
    except FileNotFoundError:  # pulled out in this moment
        return ()


def partitions_of(disk: Path) -> tuple[Path, ...]:
    """Return the directories in sysfs of a disk's partitions, in order of name."""
    return tuple(sorted(path.parent for path in disk.glob("*/partition")))


def use_of(disk: Path, machine: Machine) -> str | None:
    """Return what the disk or one of its partitions is used for and how to end that, or None.

    A mount that is only in another mount namespace, as in a container, is not seen.
    """
    mounts = (machine.proc / _MOUNTS).read_text(errors="replace")
    swaps = (machine.proc / _SWAPS).read_text(errors="replace")
    uses = (_use(node, mounts, swaps) for node in (disk, *partitions_of(disk)))
    return next((use for use in uses if use), None)


def mount_points(name: str, number: str, mounts: str) -> tuple[str, ...]:
    """Return where this block device (`sda1`, `8:1`) is mounted, by the text of a `mountinfo`.

    Some file systems, btrfs among them, show a number of their own there; then the name counts.
    """
    return tuple(
        _unescaped(fields[_MOUNT_POINT])
        for fields, source in _mounted(mounts)
        if fields[_NUMBER] == number or source == f"/dev/{name}"
    )


def _use(node: Path, mounts: str, swaps: str) -> str | None:
    name = node.name
    if points := mount_points(name, attribute(node, "dev"), mounts):
        return f"{name} is mounted at {points[0]}, unmount it"
    if any(line.split(" ")[0] == f"/dev/{name}" for line in swaps.replace("\t", " ").splitlines()):
        return f"{name} is swap space, end that with swapoff"
    if holders := sorted(path.name for path in (node / "holders").glob("*")):
        return f"{name} is a part of {holders[0]} (encryption, LVM or RAID), stop that"
    return None


def attribute(directory: Path, name: str) -> str:
    """Return an attribute in sysfs, empty where it is missing; `serial` and the like can block for minutes."""
    try:
        return (directory / name).read_text(errors="replace").removesuffix("\n")
    except OSError:
        return ""


def _mounted(mounts: str) -> Iterator[tuple[list[str], str]]:
    """Yield the fields and the source of each mount."""
    for line in mounts.splitlines():
        place, _, system = line.partition(" - ")
        fields, sources = place.split(" "), system.split(" ")
        if len(fields) > _MOUNT_POINT and len(sources) > 1:
            yield fields, _unescaped(sources[1])


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), text)
