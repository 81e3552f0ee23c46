"""The check of a machine's USB bus, on a folder that looks like a machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.usbwatch.rigs import SysfsTree
from usbwatch.access import User
from usbwatch.checkup import Finding, Host, Level, checkup, read_keys
from usbwatch.driver import drivers_with
from usbwatch.udev_rules import render

STICK, KEYBOARD, HUB = (0x0781, 0x5567), (0x046D, 0xC31C), (0x1D6B, 0x0002)
DRIVERS = drivers_with([STICK])
ROOT, STRANGER = User("root", 0, frozenset({0})), User("stranger", 54_321, frozenset({54_321}))


class FakeMachine:
    """A folder with what a healthy machine with a USB bus has, and no device."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "sys/bus/usb").mkdir(parents=True)
        self.tree = SysfsTree(root / "sys/bus/usb/devices")
        for folder in ("dev/bus/usb", "proc/self", "run/udev", "etc/udev/rules.d"):
            (root / folder).mkdir(parents=True)
        for file in ("proc/self/mountinfo", "proc/swaps", "run/udev/control"):
            (root / file).touch()
        self.rules.write_text(render([STICK]))
        self.host = Host(root, libusb=lambda: "1.0.26", open_monitor=lambda: None)

    @property
    def rules(self) -> Path:
        """The installed file of rules."""
        return self.root / "etc/udev/rules.d/70-twinkey.rules"

    def plug(self, port: str, ids: tuple[int, int], mode: int = 0o600) -> Path:
        """Plug a device in and return its node."""
        self.tree.add(port, ids)
        address = int((self.tree.root / port / "devnum").read_text())
        node = self.root / f"dev/bus/usb/001/{address:03d}"
        node.parent.mkdir(exist_ok=True)
        node.touch(mode)
        node.chmod(mode)
        return node

    def hold(self, port: str, driver: str) -> None:
        """Let a driver of the kernel hold the first interface of a device."""
        interface = self.tree.root / f"{port}:1.0"
        (self.root / f"sys/bus/usb/drivers/{driver}").mkdir(parents=True)
        interface.mkdir()
        (interface / "driver").symlink_to(self.root / f"sys/bus/usb/drivers/{driver}")

    def mount(self, port: str, name: str, point: str) -> None:
        """Give a stick a mounted disk."""
        disk = self.tree.root / port / f"{port}:1.0/host1/target1:0:0/1:0:0:0/block/{name}"
        disk.mkdir(parents=True)
        (disk / "dev").write_text("8:16\n")
        line = f"30 1 8:16 / {point} rw - ext4 /dev/{name} rw\n"
        (self.root / "proc/self/mountinfo").write_text(line)

    def findings(self, user: User = ROOT, **changes: Callable[[], Any]) -> tuple[Finding, ...]:
        """Check the machine, with other probes where some are given."""
        host = Host(self.root, **({"libusb": self.host.libusb, "open_monitor": self.host.open_monitor} | changes))
        return checkup(host, user, DRIVERS)


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    """Give a healthy machine."""
    return FakeMachine(tmp_path)


def graver(findings: tuple[Finding, ...]) -> list[tuple[Level, str]]:
    """Return what is not ok: how grave, and about what; whoever reads it is told what to do."""
    found = [finding for finding in findings if finding.level is not Level.OK]
    assert all(finding.advice for finding in found)
    return [(finding.level, finding.about) for finding in found]


def told(findings: tuple[Finding, ...], about: str) -> str:
    """Return everything that is said about one thing."""
    return "\n".join(f"{finding.text} {finding.advice}" for finding in findings if finding.about == about)


def refused(error: Exception) -> Callable[[], Any]:
    """Return a probe that fails."""

    def probe() -> Any:
        raise error

    return probe


def test_a_healthy_machine_with_a_key_has_nothing_to_say(machine: FakeMachine) -> None:
    """All findings are ok, and the key is told with its place, kind, node and who may open it."""
    machine.plug("1-3", (0x1209, 0xA1A1))
    findings = machine.findings()
    assert graver(findings) == []
    assert "vendor-key 1209:a1a1, held by no driver" in told(findings, "port 1-3")
    assert "root may open /dev/bus/usb/001/002" in told(findings, "port 1-3")
    assert "libusb 1.0.26" in told(findings, "libusb")


def test_without_libusb_nothing_can_be_read(machine: FakeMachine) -> None:
    """A problem, with the package's name."""
    findings = machine.findings(libusb=refused(OSError("no such file")))
    assert (Level.PROBLEM, "libusb") in graver(findings)
    assert "install the package libusb-1.0-0" in told(findings, "libusb").lower()


@pytest.mark.parametrize(
    "error", [PermissionError("no netlink"), ImportError("no libudev")], ids=["netlink", "libudev"]
)
def test_without_events_keys_are_found_later(machine: FakeMachine, error: Exception) -> None:
    """No more than a warning: the agent looks by itself."""
    machine.plug("1-3", (0x1209, 0xA1A1))
    assert graver(machine.findings(open_monitor=refused(error))) == [(Level.WARNING, "events")]


def test_a_machine_without_usb_is_told_as_that(tmp_path: Path) -> None:
    """A container: one problem, that there is no bus, and not one for each thing that follows from it."""
    host = Host(tmp_path, libusb=lambda: "1.0.26", open_monitor=lambda: None)
    findings = checkup(host, ROOT, DRIVERS)
    assert graver(findings) == [(Level.PROBLEM, "USB bus")]
    assert "container" in told(findings, "USB bus")


def test_missing_device_nodes_are_a_problem(machine: FakeMachine) -> None:
    """The bus is there and /dev/bus/usb is not."""
    node = machine.plug("1-3", (0x1209, 0xA1A1))
    node.unlink()
    (machine.root / "dev/bus/usb/001").rmdir()
    (machine.root / "dev/bus/usb").rmdir()
    assert graver(machine.findings()) == [(Level.PROBLEM, "device nodes"), (Level.PROBLEM, "port 1-3")]


def test_without_a_key_that_is_said(machine: FakeMachine) -> None:
    """A warning with how sticks become keys; other devices are counted, hubs and interfaces are not."""
    machine.plug("1-1", KEYBOARD)
    machine.plug("1-2", KEYBOARD)
    machine.plug("usb1", HUB)
    machine.hold("1-1", "usbhid")
    findings = machine.findings()
    assert graver(findings) == [(Level.WARNING, "keys")]
    assert "stick_ids" in told(findings, "keys")
    assert "never opened: 2" in told(findings, "others")


def test_who_may_not_open_a_key_is_told_what_to_do(machine: FakeMachine) -> None:
    """The node's owner and mode, the rule to install and the group to be in; one who may is told so."""
    machine.plug("1-3", (0x1209, 0xA1A1), mode=0o660)
    machine.plug("1-4", (0x1209, 0xA1A1), mode=0o666)
    findings = machine.findings(STRANGER)
    assert graver(findings) == [(Level.PROBLEM, "port 1-3")]
    assert "stranger may not open /dev/bus/usb/001/002" in told(findings, "port 1-3")
    assert "0660" in told(findings, "port 1-3")
    assert "twinkey udev-rules" in told(findings, "port 1-3")
    assert "stranger may open" in told(findings, "port 1-4")


def test_no_key_is_opened_and_no_serial_is_read(machine: FakeMachine) -> None:
    """Opening the node, or reading `serial`, would block for ever here."""
    node = machine.plug("1-3", (0x1209, 0xA1A1))
    node.unlink()
    os.mkfifo(node)
    os.mkfifo(machine.tree.root / "1-3/serial")
    assert graver(machine.findings()) == []


def test_which_driver_of_the_kernel_holds_a_key_is_told(machine: FakeMachine) -> None:
    """That is no problem, because the agent takes the key over."""
    machine.plug("1-3", STICK)
    machine.hold("1-3", "usb-storage")
    findings = machine.findings()
    assert graver(findings) == []
    assert "mass-storage 0781:5567, held by the kernel's driver usb-storage" in told(findings, "port 1-3")


def test_a_stick_that_is_mounted_is_a_problem(machine: FakeMachine) -> None:
    """It is told where, and how to keep it from happening again."""
    machine.plug("1-3", STICK)
    machine.mount("1-3", "sdb", "/media/key")
    findings = machine.findings()
    assert graver(findings) == [(Level.PROBLEM, "port 1-3")]
    assert "sdb is mounted at /media/key" in told(findings, "port 1-3")
    assert "twinkey udev-rules" in told(findings, "port 1-3")


def test_a_foreign_stick_is_an_other_device(machine: FakeMachine) -> None:
    """Sticks that no setting names are left alone, mounted or not."""
    machine.plug("1-3", (0x0951, 0x1666))
    machine.mount("1-3", "sdb", "/media/holiday")
    findings = machine.findings()
    assert told(findings, "port 1-3") == ""
    assert "never opened: 1" in told(findings, "others")


@pytest.mark.parametrize("folder", ["etc", "run", "usr/lib"])
def test_a_rule_counts_wherever_udev_reads_it(machine: FakeMachine, folder: str) -> None:
    """Installed by hand, at run time, or by a package."""
    machine.plug("1-3", STICK, mode=0o666)
    text = machine.rules.read_text()
    machine.rules.unlink()
    assert graver(machine.findings(STRANGER)) == [(Level.WARNING, "udev rules")]
    place = machine.root / folder / "udev/rules.d/99-any.rules"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    assert graver(machine.findings(STRANGER)) == []


def test_rules_from_before_a_setting_are_told(machine: FakeMachine) -> None:
    """A stick that was added to the settings since is named; root does not need a rule."""
    machine.plug("1-3", STICK, mode=0o666)
    machine.rules.write_text(render())
    findings = machine.findings(STRANGER)
    assert graver(findings) == [(Level.WARNING, "udev rules")]
    assert "0781:5567" in told(findings, "udev rules")
    assert "1209" not in told(findings, "udev rules")
    assert graver(machine.findings(ROOT)) == []


def test_without_udevd_only_root_is_well(machine: FakeMachine) -> None:
    """A warning for everybody else."""
    machine.plug("1-3", STICK, mode=0o666)
    (machine.root / "run/udev/control").unlink()
    assert graver(machine.findings(STRANGER)) == [(Level.WARNING, "udevd")]
    assert graver(machine.findings(ROOT)) == []


def test_a_table_that_cannot_be_read_is_an_error(machine: FakeMachine) -> None:
    """It is not taken for an empty bus."""
    machine.plug("1-3", STICK)
    (machine.tree.root / "1-3/devnum").unlink()
    (machine.tree.root / "1-3/devnum").mkdir()
    with pytest.raises(IsADirectoryError):
        machine.findings()


async def test_a_key_that_cannot_be_read_is_a_problem_with_its_reason(machine: FakeMachine) -> None:
    """The worker's own words, and how long it took; here the node of the key is not in /dev."""
    machine.plug("9-3", (0x1209, 0xA1A1))
    (machine.tree.root / "9-3/busnum").write_text("999\n")
    (finding,) = await read_keys(machine.host, DRIVERS, 5.0)
    assert (finding.level, finding.about) == (Level.PROBLEM, "port 9-3")
    assert "There is no /dev/bus/usb/999/" in finding.text


async def test_other_devices_are_not_read(machine: FakeMachine) -> None:
    """Reading is for keys alone."""
    machine.plug("1-1", KEYBOARD)
    assert await read_keys(machine.host, DRIVERS, 5.0) == ()
