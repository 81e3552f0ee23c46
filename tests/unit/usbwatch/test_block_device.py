"""Block devices and what uses them, on directories that look like the kernel's tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.usbwatch.machines import MadeMachine
from usbwatch.block_device import disks_of, mount_points, partitions_of, use_of
from usbwatch.device import Device
from usbwatch.driver import KeyFault
from usbwatch.mass_storage import refuse_in_use


@pytest.fixture
def made(tmp_path: Path) -> MadeMachine:
    """Give a machine with one unused stick in port 1-3, the disk sdb."""
    return MadeMachine(tmp_path)


def test_the_disks_of_a_stick_are_found(made: MadeMachine) -> None:
    """A stick has its disk, and a hub in between does not matter; another port's disk is not its."""
    made.add_disk("1-2.4", "sdc", "8:32")
    assert disks_of("1-3", made.machine) == (made.disk,)
    assert [disk.name for disk in disks_of("1-2.4", made.machine)] == ["sdc"]


def test_a_key_without_a_disk_is_not_in_use(made: MadeMachine) -> None:
    """A stick that the kernel has made no disk of can be read; so can one that is pulled out meanwhile."""
    refuse_in_use(Device("1-9", 1, 2, 3, 4), made.machine)


def test_partitions_are_told_from_other_directories(made: MadeMachine) -> None:
    """Only what the kernel calls a partition is one."""
    first = made.add_partition("sdb1", "8:17")
    assert partitions_of(made.disk) == (first,)


def test_an_unused_stick_is_free(made: MadeMachine) -> None:
    """What is mounted elsewhere does not matter."""
    made.add_partition("sdb1", "8:17")
    made.mount("8:1", "/", "/dev/sda1")
    made.mount("8:170", "/srv", "/dev/sdb10")
    assert use_of(made.disk, made.machine) is None


@pytest.mark.parametrize("number", ["8:16", "8:17"], ids=["disk", "partition"])
def test_a_mounted_stick_is_in_use(made: MadeMachine, number: str) -> None:
    """A mounted disk counts, and a mounted partition of it; the mount point is named."""
    made.add_partition("sdb1", "8:17")
    made.mount(number, "/mnt/my\\040stick", "/dev/whatever")
    assert "mounted at /mnt/my stick" in (use_of(made.disk, made.machine) or "")


def test_a_mount_is_known_by_its_name_too(made: MadeMachine) -> None:
    """Some file systems show a number of their own; the partition's name tells."""
    made.add_partition("sdb1", "8:17")
    made.mount("0:45", "/mnt", "/dev/sdb1")
    assert "sdb1 is mounted at /mnt" in (use_of(made.disk, made.machine) or "")


def test_swap_space_is_in_use(made: MadeMachine) -> None:
    """A partition that the kernel swaps to is in use."""
    made.add_partition("sdb1", "8:17")
    made.swap("/dev/sdb1")
    assert "sdb1 is swap space" in (use_of(made.disk, made.machine) or "")


def test_a_part_of_something_larger_is_in_use(made: MadeMachine) -> None:
    """A partition under an encrypted or combined disk is in use, though nothing shows it as mounted."""
    holders = made.add_partition("sdb1", "8:17") / "holders"
    (holders / "dm-0").mkdir(parents=True)
    assert "sdb1 is a part of dm-0" in (use_of(made.disk, made.machine) or "")


def test_a_key_in_use_is_not_read(made: MadeMachine) -> None:
    """The agent does not take the disk away under a file system, and says which one it is."""
    made.mount("8:16", "/mnt", "/dev/sdb")
    with pytest.raises(KeyFault, match="mounted at /mnt"):
        refuse_in_use(Device("1-3", 1, 2, 3, 4), made.machine)


def test_lines_that_are_no_mounts_are_passed_over() -> None:
    """A table that is cut off or of another form is read as far as it goes."""
    text = "\nrubbish\n36 35 8:16 / \n36 35 8:16 / /mnt rw - ext4 /dev/sdb rw\n36 35 8:16 / /srv rw - ext4"
    assert mount_points("sdb", "8:16", text) == ("/mnt",)
