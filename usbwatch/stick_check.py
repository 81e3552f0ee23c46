"""Which disk the vendor's desk may overwrite: a whole, unused USB stick, and nothing else.

Reads only what the kernel lists and opens no device, so whatever is refused here is as it was. Knows nothing
of what is to be written.
"""

from __future__ import annotations

import os
import queue
import stat
import threading
from dataclasses import dataclass
from pathlib import Path

from usbwatch.block_device import Machine, attribute, partitions_of, use_of
from usbwatch.stick_layout import Geometry

_SECTOR = 512  # sysfs counts in these, whatever the disk's blocks are
_SMALLEST = 4 * 1024 * 1024
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_UNIT = 1024
STRING_SECONDS = 5.0


class StickError(Exception):
    """The stick must not be written, or could not be; the text says why and what to do."""


@dataclass(frozen=True)
class Stick:
    """A stick that may be written. `number` and `insertion` are the kernel's: equal values mean the same stick.

    `path` is its device node, with no symbolic link in it; what is found there later must have that number still.
    `partitions` are those on it now, as (name, bytes).
    """

    path: Path
    number: str
    insertion: str
    geometry: Geometry
    key_id: str
    model: str
    partitions: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        """Describe it to whoever has to decide whether it is the right one."""
        parts = ", ".join(f"{name} ({_size(size)})" for name, size in self.partitions) or "none"
        size = _size(self.geometry.blocks * self.geometry.block_size)
        return f"{self.path}: {self.model or 'a USB stick'}, serial number {self.key_id}, {size}; partitions: {parts}"


def examine(path: Path, machine: Machine, string_seconds: float = STRING_SECONDS) -> Stick:
    """Return the stick behind this device node, or behind a link to it. A dead one is given up after `string_seconds`.

    Raises:
        StickError: it is no stick, is in use, or cannot become a licence key.
    """
    node = Path(os.path.realpath(path))  # once: a link may lead elsewhere the next time
    return stick_of(node, device_number(node), machine, string_seconds)


def device_number(path: Path) -> str:
    """Return the kernel's number of a block device, as `8:16`; StickError when it is none."""
    try:
        status = path.stat()
    except OSError as error:
        raise StickError(f"{path}: {error.strerror}. Name the stick's device, as /dev/sdb.") from error
    number = block_number(status)
    if number is None:
        raise StickError(f"{path} is not a block device. Name the stick's device, as /dev/sdb.")
    return number


def block_number(status: os.stat_result) -> str | None:
    """Return the kernel's number of the block device that was looked at, as `8:16`; None when it is none."""
    return f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}" if stat.S_ISBLK(status.st_mode) else None


def stick_of(path: Path, number: str, machine: Machine, string_seconds: float = STRING_SECONDS) -> Stick:
    """Return the stick of this number, as `examine`; `path` is what people call it."""
    disk = (machine.sysfs / "dev/block" / number).resolve()
    if (disk / "partition").exists():
        raise StickError(f"{path} is a partition. Name the whole disk: {path.parent / disk.parent.name}.")
    usb_device = _usb_device(disk)
    if usb_device is None:
        raise StickError(f"{path} is not a USB stick. It was left alone.")
    if (use := use_of(disk, machine)) is not None:
        raise StickError(f"{path} is in use: {use}.")
    if attribute(disk, "ro") != "0":
        raise StickError(f"{path} is write-protected. Look for a switch on the stick, or take another one.")
    size, block_size = _number(disk, "size") * _SECTOR, _number(disk, "queue/logical_block_size")
    if size < _SMALLEST or not block_size:
        raise StickError(f"{path} holds {_size(size)}, and a licence key needs {_size(_SMALLEST)}: take another stick.")
    return Stick(
        path=path,
        number=number,
        insertion=attribute(disk, "diskseq"),
        geometry=Geometry(size // block_size, block_size),
        key_id=usb_string(usb_device, "serial", string_seconds),
        model=" ".join(usb_string(usb_device, name, string_seconds) for name in ("manufacturer", "product")).strip(),
        partitions=tuple((part.name, _number(part, "size") * _SECTOR) for part in partitions_of(disk)),
    )


def _usb_device(disk: Path) -> Path | None:
    """Return the directory of the USB device that has this disk."""
    return next((parent for parent in disk.parents if (parent / "idVendor").exists()), None)


def usb_string(usb_device: Path, name: str, seconds: float = STRING_SECONDS) -> str:
    """Return what a device says of itself, in visible characters, empty when it does not.

    The kernel was seen to keep a reader of these attributes waiting for 83 seconds, so a thread reads it, which can
    be left behind.

    Raises:
        StickError: it did not answer in time.
    """
    answers: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=lambda: answers.put(attribute(usb_device, name)), daemon=True).start()
    try:
        text = answers.get(timeout=seconds)
    except queue.Empty:
        raise StickError("The USB stick does not say what it is. Re-insert it, or take another one.") from None
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _number(directory: Path, name: str) -> int:
    text = attribute(directory, name)
    return int(text) if text.isdecimal() else 0


def _size(size: int) -> str:
    """Return a size for people, rounded down."""
    unit = 0
    while size >= _UNIT and unit < len(_UNITS) - 1:
        size, unit = size // _UNIT, unit + 1
    return f"{size} {_UNITS[unit]}"
