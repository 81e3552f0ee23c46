"""Makes a licence key of a USB stick, for the vendor's desk: partitions it, writes the licence, reads it back.

What is on the stick is lost. Whether it may be is decided before, in `usbwatch.stick_check`; what is written
where, and in which order, in `usbwatch.stick_layout`. The stick is opened once, and all that is done to it goes
through that descriptor: its path may lead to another disk a moment later.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from usbwatch.block_device import Machine
from usbwatch.messages import LICENCE_LIMIT
from usbwatch.stick_check import Stick, StickError, block_number, stick_of
from usbwatch.stick_layout import PARTITION_TYPE, BadLayout, Geometry, find_partition, read_licence, writes

SFDISK = "sfdisk"
_ADMIN_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
_TABLE = f'label: gpt\nstart=1MiB, size=1MiB, type={PARTITION_TYPE}, name="Twinkey licence"\n'
_SFDISK_SECONDS = 60.0
_BLKRRPART = 0x125F  # read the partition table again

_OPEN_ERRORS = {
    errno.EACCES: "there is no permission to write it. Run this as root",
    errno.EPERM: "there is no permission to write it. Run this as root",
    errno.EBUSY: "it is in use by another program or mounted. Stop that",
    errno.ENOMEDIUM: "there is no medium in it. Put one in",
    errno.ENXIO: "it was pulled out. Insert it again",
    errno.EROFS: "it is write-protected. Look for a switch on it, or take another one",
}


def write_stick(stick: Stick, licence: bytes, machine: Machine) -> None:
    """Write the licence file to the stick and check that it is on it.

    Raises:
        StickError: it is not known to be on it; or the device is not the stick that was examined any more, and
            nothing was written.
    """
    sfdisk = find_sfdisk()
    with held(stick.path) as descriptor:
        if block_number(os.fstat(descriptor)) != stick.number or stick_of(stick.path, stick.number, machine) != stick:
            raise StickError(f"{stick.path} is not the stick any more that it was. Nothing was written: start again.")
        write_disk(stick.path, descriptor, stick.geometry, licence, sfdisk)


def find_sfdisk(command: str = SFDISK) -> str:
    """Return the path of the program that makes partitions; StickError when it is missing."""
    found = shutil.which(command, path=_ADMIN_PATH)
    if found is None:
        raise StickError("A stick cannot be partitioned without sfdisk: install the package fdisk.")
    return found


@contextmanager
def held(path: Path) -> Iterator[int]:
    """Keep everybody else from using this disk, or this file; give its descriptor.

    The kernel lets nobody mount a disk that is held so, and udev does not look at one that is locked.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)
    except OSError as error:
        reason = _OPEN_ERRORS.get(error.errno or 0, error.strerror)
        raise StickError(f"{path} cannot be written: {reason}. Nothing was written.") from error
    try:
        with contextlib.suppress(BlockingIOError):  # somebody is looking at it: that does no harm
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    finally:
        os.close(descriptor)


def write_disk(path: Path, descriptor: int, disk: Geometry, licence: bytes, sfdisk: str) -> None:
    """Write the licence file to the disk that is held, or to a file that stands for one, and check that it is on it.

    `path` is only what people call it.

    Raises:
        StickError: it is not known to be on it.
    """
    if len(licence) > LICENCE_LIMIT:
        raise StickError(f"The licence has {len(licence)} bytes, more than a key can hold ({LICENCE_LIMIT}).")
    try:
        _partition(path, descriptor, sfdisk)
        _fill(descriptor, disk, licence)
        with _on_the_medium(descriptor) as medium:
            found = read_licence(lambda first, count: _read(medium, disk, first, count), disk, LICENCE_LIMIT)
    except (OSError, BadLayout) as error:
        reason = str(error).rstrip(".")
        raise StickError(f"{path} could not be written ({reason}): it holds no licence now. Try again.") from error
    if found != licence:
        raise StickError(f"{path} holds something else than was written to it: take another one.")


def _partition(path: Path, descriptor: int, sfdisk: str) -> None:
    # The kernel is told by us: it would not listen to another process while we hold the disk.
    quiet = ("--quiet", "--no-reread", "--no-tell-kernel")
    argv = (sfdisk, *quiet, "--wipe", "always", "--wipe-partitions", "always", _opened_again(descriptor))
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            argv,
            input=_TABLE,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SFDISK_SECONDS,
            env=environment,
            pass_fds=(descriptor,),
        )
    except subprocess.TimeoutExpired:
        raise StickError(
            f"{path} did not take its partitions within {_SFDISK_SECONDS:g} s: take another one."
        ) from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["sfdisk failed"])[-1]
        raise StickError(f"{path} could not be partitioned: {last}")
    os.fsync(descriptor)
    with contextlib.suppress(OSError):  # not every disk can have partitions in the kernel's eyes, and ours needs none
        fcntl.ioctl(descriptor, _BLKRRPART)


def _fill(descriptor: int, disk: Geometry, licence: bytes) -> None:
    with _on_the_medium(descriptor) as medium:
        partition = find_partition(lambda first, count: _read(medium, disk, first, count), disk)
    for block, data in writes(licence, partition, disk.block_size):
        _write(descriptor, block * disk.block_size, data)
        os.fsync(descriptor)


def _write(descriptor: int, offset: int, data: bytes) -> None:
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written


@contextmanager
def _on_the_medium(disk: int) -> Iterator[int]:
    """Open a disk that is held for reading past the kernel's cache, which would tell what should be on it."""
    direct = os.O_DIRECT if stat.S_ISBLK(os.fstat(disk).st_mode) else 0
    descriptor = os.open(_opened_again(disk), os.O_RDONLY | os.O_CLOEXEC | direct)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _opened_again(descriptor: int) -> str:
    """Return a path that leads whoever has this descriptor to the very disk that it is of."""
    return f"/proc/self/fd/{descriptor}"


def _read(descriptor: int, disk: Geometry, first: int, count: int) -> bytes:
    size = count * disk.block_size
    with mmap.mmap(-1, size) as aligned:
        if os.preadv(descriptor, [aligned], first * disk.block_size) != size:
            raise BadLayout("It ends too early.")
        return aligned[:]
