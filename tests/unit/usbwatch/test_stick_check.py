"""Which disks the vendor's desk may overwrite, on directories that look like the kernel's tables."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.usbwatch.machines import MadeMachine
from usbwatch.stick_check import Stick, StickError, device_number, stick_of
from usbwatch.stick_layout import Geometry

SDB = Path("/dev/sdb")


@pytest.fixture
def made(tmp_path: Path) -> MadeMachine:
    """Give a machine with one unused stick in port 1-3, the disk sdb."""
    return MadeMachine(tmp_path)


def test_a_free_stick_is_described(made: MadeMachine) -> None:
    """All is told that is needed to know whether it is the right stick."""
    made.add_partition("sdb1", "8:17")
    stick = stick_of(SDB, "8:16", made.machine)
    assert stick == Stick(
        SDB, "8:16", "9", Geometry(16384, 512), "4C53", "SanDisk Cruzer Blade", (("sdb1", 2 * 1024 * 1024),)
    )
    assert str(stick) == ("/dev/sdb: SanDisk Cruzer Blade, serial number 4C53, 8 MiB; partitions: sdb1 (2 MiB)")


def test_large_blocks_are_counted_right(made: MadeMachine) -> None:
    """The kernel counts in 512 bytes, whatever the stick's blocks are."""
    made.add_disk("1-4", "sdc", "8:32", block_size=4096)
    assert stick_of(Path("/dev/sdc"), "8:32", made.machine).geometry == Geometry(2048, 4096)


def test_a_partition_is_refused_and_the_disk_named(made: MadeMachine) -> None:
    """Who names a partition is told what to name."""
    made.add_partition("sdb1", "8:17")
    with pytest.raises(StickError, match="Name the whole disk: /dev/sdb"):
        stick_of(Path("/dev/sdb1"), "8:17", made.machine)


def test_a_disk_that_is_not_on_usb_is_refused(made: MadeMachine) -> None:
    """The disk of the machine itself is never touched."""
    (made.usb / "1-3/idVendor").unlink()
    with pytest.raises(StickError, match="not a USB stick"):
        stick_of(SDB, "8:16", made.machine)


def test_a_disk_that_the_kernel_does_not_know_is_refused(made: MadeMachine) -> None:
    """A stick pulled out meanwhile is no stick."""
    with pytest.raises(StickError, match="not a USB stick"):
        stick_of(SDB, "8:99", made.machine)


def test_a_stick_in_use_is_refused(made: MadeMachine) -> None:
    """Also the root of the system, when it runs from a stick, is a mount like others."""
    made.add_partition("sdb1", "8:17")
    made.mount("8:17", "/", "/dev/root")
    with pytest.raises(StickError, match="sdb1 is mounted at /, unmount it"):
        stick_of(SDB, "8:16", made.machine)


@pytest.mark.parametrize(
    ("attribute", "value", "reason"),
    [
        ("ro", "1", "write-protected"),
        ("size", "0", "holds 0 bytes"),
        ("size", "8191", "holds 3 MiB, and a licence key needs 4 MiB"),
        ("size", "", "holds 0 bytes"),
        ("queue/logical_block_size", "", "take another stick"),
    ],
    ids=["ro", "empty", "small", "gone", "no-blocks"],
)
def test_a_stick_that_cannot_be_a_key_is_refused(made: MadeMachine, attribute: str, value: str, reason: str) -> None:
    """Read-only, too small, or of no known size: each has its reason."""
    (made.disk / attribute).write_text(value)
    with pytest.raises(StickError, match=reason):
        stick_of(SDB, "8:16", made.machine)


def test_a_dead_stick_is_given_up(made: MadeMachine) -> None:
    """A serial number that cannot be read for minutes is not waited for."""
    serial = made.usb / "1-3/serial"
    serial.unlink()
    os.mkfifo(serial)
    with pytest.raises(StickError, match="does not say what it is"):
        stick_of(SDB, "8:16", made.machine, string_seconds=0.05)
    os.close(os.open(serial, os.O_RDWR | os.O_NONBLOCK))  # lets the thread go that was left behind


def test_what_a_stick_calls_itself_cannot_command_the_terminal(made: MadeMachine) -> None:
    """A name with control characters is shown without them."""
    (made.usb / "1-3/product").write_text("Cru\x1b[2Jzer\n")
    assert stick_of(SDB, "8:16", made.machine).model == "SanDisk Cru\N{REPLACEMENT CHARACTER}[2Jzer"


def test_a_serial_number_is_told_as_it_is(made: MadeMachine) -> None:
    """A space in a serial number, which no key may have, is not hidden from whoever checks it."""
    (made.usb / "1-3/serial").write_text(" 4C53 \n")
    assert stick_of(SDB, "8:16", made.machine).key_id == " 4C53 "


def test_only_block_devices_have_a_number(tmp_path: Path) -> None:
    """A file, a directory, a character device and nothing at all are told apart from a stick."""
    file = tmp_path / "image"
    file.write_bytes(b"")
    for path in (file, tmp_path, Path("/dev/null")):
        with pytest.raises(StickError, match="not a block device"):
            device_number(path)
    with pytest.raises(StickError, match=r"No such file .* as /dev/sdb"):
        device_number(tmp_path / "missing")
