"""Making a licence key of a stick: with the real sfdisk, on files and on block devices of the kernel."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.usb.loops import SIZE, as_root, loop_device, number_of
from tests.unit.usbwatch.machines import MadeMachine
from usbwatch.block_device import Machine
from usbwatch.stick_check import Stick, StickError, examine
from usbwatch.stick_layout import PARTITION_TYPE, Extent, Geometry, find_partition, read_licence
from usbwatch.stick_writer import find_sfdisk, held, write_disk, write_stick

LIMIT = 64 * 1024
LICENCE = bytes(number % 251 for number in range(40_000))
MIB = 1024 * 1024


def on(file: Path, block_size: int = 512) -> bytes:
    """Return the licence on the stick that this file stands for."""
    data = file.read_bytes()
    read = lambda first, count: data[first * block_size : (first + count) * block_size]  # noqa: E731
    return read_licence(read, Geometry(len(data) // block_size, block_size), LIMIT)


def write_file(file: Path, licence: bytes, sfdisk: str = "") -> None:
    """Write a licence to a file that stands for a stick."""
    with held(file) as descriptor:
        geometry = Geometry(file.stat().st_size // 512, 512)
        write_disk(file, descriptor, geometry, licence, sfdisk or find_sfdisk())


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Give a file that stands for a stick, full of something else."""
    file = tmp_path / "image"
    file.write_bytes(b"old " * MIB)
    return file


def script(folder: Path, *lines: str) -> str:
    """Return a program that stands in for sfdisk."""
    file = folder / "sfdisk"
    file.write_text("\n".join(("#!/bin/sh", *lines, "")))
    file.chmod(0o755)
    return str(file)


@pytest.fixture(params=[512, 4096])
def block_size(request: pytest.FixtureRequest) -> int:
    """Give each size of a disk's blocks in turn."""
    return int(request.param)


@pytest.fixture
def loop(tmp_path: Path, block_size: int) -> Iterator[Path]:
    """Give a block device."""
    with loop_device(tmp_path, block_size) as device:
        yield device


@pytest.fixture
def machine(tmp_path: Path, loop: Path, block_size: int) -> Machine:
    """Give a machine in whose eyes that block device is a stick, and which has the real mounts."""
    made = MadeMachine(tmp_path / "machine")
    made.add_disk("1-4", loop.name, number_of(loop), SIZE, block_size)
    return Machine(made.machine.sysfs, Path("/proc"))


def test_a_licence_is_on_the_stick_and_can_be_replaced(image: Path) -> None:
    """Whatever was on the stick before, the licence written last is the one that is found."""
    for licence in (LICENCE, b"short", LICENCE[::-1]):
        write_file(image, licence)
        assert on(image) == licence


def test_the_partition_is_where_other_programs_see_it(image: Path) -> None:
    """The table is a common one, with the partition at the first MiB, and says what it is for."""
    write_file(image, LICENCE)
    table = subprocess.run([find_sfdisk(), "--dump", str(image)], capture_output=True, text=True, check=True).stdout
    assert "label: gpt" in table
    assert f"start=        2048, size=        2048, type={str(PARTITION_TYPE).upper()}" in table


def test_what_the_disk_was_before_is_wiped(image: Path) -> None:
    """Nothing takes the stick for what it was, here a CD image, and tries to mount it."""
    with image.open("r+b") as file:
        file.seek(32 * 1024)
        file.write(b"\x01CD001\x01")
    write_file(image, LICENCE)
    assert b"CD001" not in image.read_bytes()


def test_a_licence_that_is_too_large_is_refused_and_nothing_written(image: Path) -> None:
    """What no node would read is not written."""
    before = image.read_bytes()
    with pytest.raises(StickError, match="more than a key can hold"):
        write_file(image, bytes(LIMIT + 1))
    assert image.read_bytes() == before


def test_a_missing_sfdisk_is_said_with_its_package() -> None:
    """Who lacks a program learns what to install."""
    with pytest.raises(StickError, match="install the package fdisk"):
        find_sfdisk("no-such-sfdisk")


def test_an_sfdisk_that_fails_is_said(image: Path, tmp_path: Path) -> None:
    """What the program says last is shown."""
    with pytest.raises(StickError, match="could not be partitioned: the disk is on fire"):
        write_file(image, LICENCE, script(tmp_path, "echo the disk is on fire >&2", "exit 1"))


def test_a_stick_that_keeps_nothing_holds_no_licence(image: Path, tmp_path: Path) -> None:
    """A stick that lost its table by the time it is read back is not called written."""
    with pytest.raises(StickError, match="holds no licence now"):
        write_file(image, LICENCE, script(tmp_path, "exit 0"))


def test_a_block_device_is_written(tmp_path: Path, loop: Path, machine: Machine, block_size: int) -> None:
    """A disk of the kernel gets its table and its licence, whatever the size of its blocks."""
    stick = examine(loop, machine)
    write_stick(stick, LICENCE, machine)
    assert on(tmp_path / "disk", block_size) == LICENCE
    assert located(tmp_path / "disk", block_size) == Extent(MIB // block_size, 2 * MIB // block_size - 1)


def located(file: Path, block_size: int) -> Extent:
    """Return where the partition is."""
    data = file.read_bytes()
    read = lambda first, count: data[first * block_size : (first + count) * block_size]  # noqa: E731
    return find_partition(read, Geometry(len(data) // block_size, block_size))


def test_a_stick_that_was_changed_meanwhile_is_left_alone(tmp_path: Path, loop: Path, machine: Machine) -> None:
    """What was shown to the person is what is overwritten, or nothing is."""
    stick = examine(loop, machine)
    (machine.sysfs / "bus/usb/devices/1-4/serial").write_text("ANOTHER\n")
    before = (tmp_path / "disk").read_bytes()
    with pytest.raises(StickError, match="not the stick any more"):
        write_stick(stick, LICENCE, machine)
    assert (tmp_path / "disk").read_bytes() == before


@pytest.fixture
def victim(tmp_path: Path, block_size: int) -> Iterator[Path]:
    """Give another block device, which nobody may write to; what is on it is in the file `victim/disk`."""
    folder = tmp_path / "victim"
    folder.mkdir()
    with loop_device(folder, block_size) as device:
        yield device


def redirected(link: Path, target: Path) -> Path:
    """Let a link lead to this target from now on; return the link."""
    link.unlink(missing_ok=True)
    link.symlink_to(target)
    return link


def test_a_link_is_followed_once(tmp_path: Path, loop: Path, victim: Path, machine: Machine, block_size: int) -> None:
    """A link that leads elsewhere after the stick was examined changes nothing: the stick is written."""
    before = (tmp_path / "victim/disk").read_bytes()
    stick = examine(redirected(tmp_path / "link", loop), machine)
    redirected(tmp_path / "link", victim)
    write_stick(stick, LICENCE, machine)
    assert stick.path == loop
    assert on(tmp_path / "disk", block_size) == LICENCE
    assert (tmp_path / "victim/disk").read_bytes() == before


@pytest.mark.parametrize("kind", ["disk", "file"])
def test_another_disk_in_the_place_of_the_stick_is_left_alone(
    tmp_path: Path, loop: Path, victim: Path, machine: Machine, kind: str
) -> None:
    """What is found under the stick's name is compared with the stick that was examined before a byte is written."""
    other = victim if kind == "disk" else tmp_path / "victim/disk"
    before = (tmp_path / "disk").read_bytes(), (tmp_path / "victim/disk").read_bytes()
    stick = replace(examine(loop, machine), path=redirected(tmp_path / "link", other))
    with pytest.raises(StickError, match="not the stick any more"):
        write_stick(stick, LICENCE, machine)
    assert ((tmp_path / "disk").read_bytes(), (tmp_path / "victim/disk").read_bytes()) == before


def test_what_is_held_is_written_whatever_its_path_leads_to(
    tmp_path: Path, loop: Path, victim: Path, block_size: int
) -> None:
    """Partitions, licence and the reading back go to the disk that was opened, also when the path is another's now."""
    before = (tmp_path / "victim/disk").read_bytes()
    link = redirected(tmp_path / "link", loop)
    with held(link) as descriptor:
        redirected(link, victim)
        write_disk(link, descriptor, Geometry(SIZE // block_size, block_size), LICENCE, find_sfdisk())
    assert on(tmp_path / "disk", block_size) == LICENCE
    assert (tmp_path / "victim/disk").read_bytes() == before


def test_a_disk_that_somebody_holds_is_left_alone(tmp_path: Path, loop: Path, machine: Machine) -> None:
    """What no table shows, the kernel still tells: the disk is taken."""
    stick = examine(loop, machine)
    before = (tmp_path / "disk").read_bytes()
    descriptor = os.open(loop, os.O_RDWR | os.O_EXCL)
    try:
        with pytest.raises(StickError, match="in use by another program"):
            write_stick(stick, LICENCE, machine)
    finally:
        os.close(descriptor)
    assert (tmp_path / "disk").read_bytes() == before


def test_a_mounted_disk_is_refused(tmp_path: Path, loop: Path, machine: Machine) -> None:
    """A file system that is mounted is seen in the kernel's own table, by its number."""
    as_root("mkfs.ext2", "-q", str(loop))
    point = tmp_path / "a point"
    point.mkdir()
    as_root("mount", str(loop), str(point))
    try:
        with pytest.raises(StickError, match=f"mounted at {point}"):
            examine(loop, machine)
    finally:
        as_root("umount", str(point))


def test_what_is_no_stick_at_all_is_refused(loop: Path) -> None:
    """A block device of this very machine that is not on USB is refused."""
    with pytest.raises(StickError, match="not a USB stick"):
        examine(loop, Machine())


def test_a_stick_equals_only_itself(loop: Path, machine: Machine) -> None:
    """Examined twice, the same stick is the same value."""
    stick = examine(loop, machine)
    assert isinstance(stick, Stick)
    assert examine(loop, machine) == stick
