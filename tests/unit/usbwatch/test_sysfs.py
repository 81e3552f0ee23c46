"""The scan of the kernel's table, on a directory that looks like it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.usbwatch.rigs import IDS, SysfsTree
from usbwatch.device import Device
from usbwatch.driver import driver_for
from usbwatch.real import scan_machine
from usbwatch.sysfs import scan


@pytest.fixture
def tree(tmp_path: Path) -> SysfsTree:
    """Give an empty table."""
    return SysfsTree(tmp_path / "devices")


def test_only_claimed_devices_are_listed(tree: SysfsTree) -> None:
    """Root hubs, interfaces and other people's devices are left out."""
    tree.add("1-2.4")
    tree.add("1-3", (0x046D, 0xC31C))
    tree.add("usb1", (0x1D6B, 0x0002))
    (tree.root / "1-2.4:1.0").mkdir()
    assert scan({IDS}, tree.root) == {Device("1-2.4", 1, 2, *IDS)}


def test_the_serial_attribute_is_never_read(tree: SysfsTree) -> None:
    """Reading `serial` would block for ever here, as it does for minutes on a dead device."""
    tree.add("1-2")
    os.mkfifo(tree.root / "1-2" / "serial")
    assert len(scan({IDS}, tree.root)) == 1


@pytest.mark.parametrize("attribute", ["idVendor", "devnum"])
def test_a_device_that_vanishes_meanwhile_is_not_there(tree: SysfsTree, attribute: str) -> None:
    """A device whose attributes are gone by the time they are read is left out."""
    tree.add("1-2")
    (tree.root / "1-2" / attribute).unlink()
    assert scan({IDS}, tree.root) == frozenset()


def test_a_half_set_up_device_is_not_there_yet(tree: SysfsTree) -> None:
    """An attribute that is still empty is no error."""
    tree.add("1-2")
    (tree.root / "1-2" / "devnum").write_text("")
    assert scan({IDS}, tree.root) == frozenset()


def test_another_error_is_not_an_empty_bus(tree: SysfsTree) -> None:
    """What cannot be read for another reason is reported: it does not mean that the key is gone."""
    tree.add("1-2")
    (tree.root / "1-2" / "devnum").unlink()
    (tree.root / "1-2" / "devnum").mkdir()
    with pytest.raises(IsADirectoryError):
        scan({IDS}, tree.root)


def test_a_kernel_without_usb_has_no_keys(tmp_path: Path) -> None:
    """A missing table is an empty one."""
    assert scan({IDS}, tmp_path / "missing") == frozenset()


def test_this_machine_can_be_scanned() -> None:
    """The scan works where the tests run, whatever is plugged in here."""
    assert all(driver_for(device) for device in scan_machine())


def test_a_device_plugged_in_again_is_another_device(tree: SysfsTree) -> None:
    """The kernel numbers devices anew, so a swap in one port between two scans is noticed."""
    tree.add("1-2")
    before = scan({IDS}, tree.root)
    tree.remove("1-2")
    tree.add("1-2")
    assert before.isdisjoint(scan({IDS}, tree.root))


def test_a_device_knows_its_node_and_its_place() -> None:
    """The node is what is opened, the place is what people look for."""
    device = Device("1-2.4", 1, 23, *IDS)
    assert (device.node, device.place) == ("/dev/bus/usb/001/023", "port 1-2.4")
