"""Which sticks the vendor's desk lists, on directories that look like the kernel's tables."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.usbwatch.machines import MadeMachine
from usbwatch.device import Device
from usbwatch.stick_list import PluggedStick, plugged_sticks

IDS = (0x0781, 0x5567)
DEVICE = Device("1-3", 1, 4, *IDS)


@pytest.fixture
def made(tmp_path: Path) -> MadeMachine:
    """Give a machine with one unused stick in port 1-3, the disk sdb."""
    made = MadeMachine(tmp_path)
    number(made, "1-3", 4)
    return made


def number(made: MadeMachine, port: str, address: int) -> None:
    """Let the device in a port have what the bus counts devices by."""
    for name, value in (("idProduct", "5567"), ("busnum", "1"), ("devnum", str(address))):
        (made.usb / port / name).write_text(f"{value}\n")


def test_a_stick_is_listed_with_its_disk(made: MadeMachine) -> None:
    """Its serial number is what a licence names, and its disk is what `write-key` takes."""
    assert plugged_sticks([IDS], made.machine) == (PluggedStick(DEVICE, "4C53", ("/dev/sdb",)),)


def test_sticks_are_listed_in_the_order_of_their_ports(made: MadeMachine) -> None:
    """Each has its own disk."""
    made.add_disk("1-2", "sdc", "8:32")
    number(made, "1-2", 9)
    listed = plugged_sticks([IDS], made.machine)
    assert [(stick.device.place, stick.disks) for stick in listed] == [
        ("port 1-2", ("/dev/sdc",)),
        ("port 1-3", ("/dev/sdb",)),
    ]


def test_other_sticks_are_not_listed(made: MadeMachine) -> None:
    """A kind of stick that was not asked for is somebody else's, and nothing is asked of it."""
    os.mkfifo(made.usb / "1-3/never")
    (made.usb / "1-3/never").replace(made.usb / "1-3/serial")
    assert plugged_sticks([(0x0781, 0x5568)], made.machine) == ()
    assert plugged_sticks([], made.machine) == ()


def test_a_stick_without_a_disk_is_to_be_plugged_in_again(made: MadeMachine) -> None:
    """After a node read it, the kernel has no disk of it: it is told how to get that back."""
    made.disk.rename(made.usb / "gone")
    (stick,) = plugged_sticks([IDS], made.machine)
    assert (stick.key_id, stick.disks, "Plug it in again" in stick.trouble) == ("4C53", (), True)


def test_a_stick_in_use_is_listed_with_its_use(made: MadeMachine) -> None:
    """What would keep `write-key` from writing it is said before."""
    made.add_partition("sdb1", "8:17")
    made.mount("8:17", "/media/stick", "/dev/sdb1")
    (stick,) = plugged_sticks([IDS], made.machine)
    assert (stick.key_id, stick.disks) == ("4C53", ("/dev/sdb",))
    assert "sdb1 is mounted at /media/stick, unmount it" in stick.trouble


@pytest.mark.parametrize("serial", ["", "4C 53", "x" * 65, "4C\x1b[2J"], ids=["none", "space", "long", "escape"])
def test_a_stick_that_cannot_be_named_in_a_licence_says_so(made: MadeMachine, serial: str) -> None:
    """A serial number that no key may have is not offered for a licence."""
    (made.usb / "1-3/serial").write_text(serial)
    (stick,) = plugged_sticks([IDS], made.machine)
    assert (stick.key_id, "no usable serial number" in stick.trouble) == (None, True)


def test_a_dead_stick_is_given_up(made: MadeMachine) -> None:
    """A serial number that cannot be read for minutes is not waited for."""
    serial = made.usb / "1-3/serial"
    serial.unlink()
    os.mkfifo(serial)
    (stick,) = plugged_sticks([IDS], made.machine, string_seconds=0.05)
    assert (stick.key_id, "does not say what it is" in stick.trouble) == (None, True)
    os.close(os.open(serial, os.O_RDWR | os.O_NONBLOCK))  # lets the thread go that was left behind
