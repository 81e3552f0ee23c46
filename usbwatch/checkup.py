"""What keeps this machine's USB bus from showing licence keys: findings for an operator, each with what to do.

Looks at what the kernel lists and at files; opens no device and asks none. What a key itself says is found by
`read_keys`, in workers as the agent does it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from msgspec import Struct

from licensing.genuine import NONCE_BYTES
from usbwatch import one_device, udev_rules
from usbwatch.access import ROOT, User, may_open, owner_text
from usbwatch.block_device import Machine, disks_of, use_of
from usbwatch.device import Device
from usbwatch.driver import Driver, claims_of, driver_for
from usbwatch.key_reader import WorkerReader
from usbwatch.messages import Contents, Failed, Outcome
from usbwatch.sysfs import scan
from usbwatch.uevents import kernel_monitor

_RULES = ("etc/udev/rules.d", "run/udev/rules.d", "usr/lib/udev/rules.d", "lib/udev/rules.d")
_MAKE_RULE = f"Run `twinkey udev-rules > {udev_rules.FILE}` and do what its first lines say."


class Level(Enum):
    """How grave a finding is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(Struct, frozen=True):
    """One thing that was looked at: `about` names it, `text` says how it is, `advice` what to do where it is not ok."""

    level: Level
    about: str
    text: str
    advice: str = ""


@dataclass(frozen=True)
class Host:
    """The machine that is looked at: where its files are, and how libusb and the kernel's events are tried."""

    root: Path = Path("/")
    libusb: Callable[[], str] = one_device.version
    open_monitor: Callable[[], Any] = kernel_monitor

    @property
    def usb_devices(self) -> Path:
        """The kernel's table of USB devices."""
        return self.root / "sys/bus/usb/devices"

    @property
    def tables(self) -> Machine:
        """The kernel's tables of disks and mounts."""
        return Machine(self.root / "sys", self.root / "proc")

    def node(self, device: Device) -> Path:
        """The device node of a USB device."""
        return self.root / device.node.lstrip("/")


def checkup(host: Host, user: User, drivers: tuple[Driver, ...]) -> tuple[Finding, ...]:
    """Look at everything that must be so for this user to read the keys that the drivers claim.

    Raises:
        OSError: the kernel's table of USB devices cannot be read.
    """
    return (
        _library(host),
        _events(host),
        _udevd(host, user),
        _rules(host, user, drivers),
        *_bus(host, user, drivers),
    )


async def read_keys(host: Host, drivers: tuple[Driver, ...], seconds: float) -> tuple[Finding, ...]:
    """Read each key in a process of its own, one after the other; none takes much longer than `seconds`.

    Raises:
        OSError: the kernel's table of USB devices cannot be read.
    """
    reader, findings = WorkerReader(drivers, seconds), list[Finding]()
    try:
        for device in _claimed(host, drivers):
            began = time.monotonic()
            outcome = await reader.read(device, secrets.token_bytes(NONCE_BYTES), lambda _: None)
            findings.append(_reading(device, outcome, time.monotonic() - began))
    finally:
        await reader.close()
    return tuple(findings)


def _library(host: Host) -> Finding:
    try:
        return Finding(Level.OK, "libusb", f"libusb {host.libusb()} is here.")
    except (OSError, AttributeError) as error:
        text = f"libusb cannot be loaded ({error}): no key can be read."
        return Finding(Level.PROBLEM, "libusb", text, "Install the package libusb-1.0-0.")


def _events(host: Host) -> Finding:
    try:
        host.open_monitor()
    except (OSError, ImportError) as error:
        text = f"The kernel's hot-plug events cannot be received ({error}); keys are found some seconds later."
        return Finding(Level.WARNING, "events", text, "Let the agent open netlink sockets (AF_NETLINK).")
    return Finding(Level.OK, "events", "The kernel's hot-plug events can be received.")


def _udevd(host: Host, user: User) -> Finding:
    if (host.root / "run/udev/control").exists():
        return Finding(Level.OK, "udevd", "udevd runs.")
    if user.uid == ROOT:
        return Finding(Level.OK, "udevd", "udevd does not run here; root does not need it.")
    text = f"udevd does not run here, so nothing gives {user.name} access to keys."
    return Finding(Level.WARNING, "udevd", text, "Start udevd; in a container, mount /dev of a host that runs it.")


def _rules(host: Host, user: User, drivers: tuple[Driver, ...]) -> Finding:
    missing = udev_rules.without_rule(claims_of(drivers), _rule_files(host))
    names = ", ".join(f"{vendor:04x}:{product:04x}" for vendor, product in missing)
    if not missing:
        return Finding(Level.OK, "udev rules", "There are udev rules for all kinds of keys.")
    if user.uid == ROOT:
        return Finding(Level.OK, "udev rules", f"No udev rule names {names}; root does not need one.")
    return Finding(Level.WARNING, "udev rules", f"No udev rule names {names}.", _MAKE_RULE)


def _rule_files(host: Host) -> Iterator[str]:
    for folder in _RULES:
        for file in sorted((host.root / folder).glob("*.rules")):
            with suppress(OSError):
                yield file.read_text(encoding="utf-8", errors="replace")


def _bus(host: Host, user: User, drivers: tuple[Driver, ...]) -> Iterator[Finding]:
    if not host.usb_devices.exists():
        text = "The kernel shows no USB bus here (/sys/bus/usb/devices is missing)."
        advice = "In a container or virtual machine pass the USB bus on from its host; else load the USB drivers."
        yield Finding(Level.PROBLEM, "USB bus", text, advice)
        return
    devices, count = _claimed(host, drivers), _count(host)
    yield Finding(Level.OK, "USB bus", f"The kernel has a USB bus; devices on it: {count}.")
    yield _nodes(host)
    if not devices:
        text = "No licence key is plugged in here."
        advice = "If one is: `lsusb` shows its kind; sticks are keys only if the setting `stick_ids` names them."
        yield Finding(Level.WARNING, "keys", text, advice)
    for device in devices:
        yield from _device(host, user, device, drivers)
    yield Finding(Level.OK, "others", f"Other devices, which are never opened: {max(count - len(devices), 0)}.")


def _claimed(host: Host, drivers: tuple[Driver, ...]) -> tuple[Device, ...]:
    """The devices that a driver claims, in order of their ports."""
    return tuple(sorted(scan(claims_of(drivers), host.usb_devices), key=lambda device: device.sysname))


def _count(host: Host) -> int:
    """How many devices are plugged in: without interfaces, which have a colon, and the bus's own root hubs."""
    return sum(":" not in entry.name and not entry.name.startswith("usb") for entry in host.usb_devices.iterdir())


def _nodes(host: Host) -> Finding:
    if (host.root / "dev/bus/usb").is_dir():
        return Finding(Level.OK, "device nodes", "/dev/bus/usb is here.")
    advice = "In a container mount /dev/bus/usb from the host; else start udevd."
    return Finding(Level.PROBLEM, "device nodes", "/dev/bus/usb is missing: no key can be opened.", advice)


def _device(host: Host, user: User, device: Device, drivers: tuple[Driver, ...]) -> Iterator[Finding]:
    driver = driver_for(device, drivers)
    assert driver is not None
    kind = f"{driver.name} {device.vendor:04x}:{device.product:04x}"
    holders = _kernel_drivers(host, device)
    held = f"held by the kernel's driver {', '.join(holders)} until it is read" if holders else "held by no driver"
    yield Finding(Level.OK, device.place, f"A key of the kind {kind}, {held}.")
    yield _permission(host, user, device)
    for disk in disks_of(device.sysname, host.tables):
        if (use := use_of(disk, host.tables)) is not None:
            text = f"It cannot be read while it is in use: {use}."
            yield Finding(Level.PROBLEM, device.place, text, f"Plug it in again then. {_MAKE_RULE}")


def _permission(host: Host, user: User, device: Device) -> Finding:
    try:
        node = host.node(device).stat()
    except OSError as error:
        text = f"{device.node} cannot be looked at: {error.strerror}."
        return Finding(Level.PROBLEM, device.place, text, "Give this machine's /dev/bus/usb to the agent.")
    if may_open(user, node):
        return Finding(Level.OK, device.place, f"{user.name} may open {device.node} ({owner_text(node)}).")
    text = f"{user.name} may not open {device.node} ({owner_text(node)})."
    advice = f"{_MAKE_RULE} {user.name} must be in the group {udev_rules.GROUP}; then start the agent again."
    return Finding(Level.PROBLEM, device.place, text, advice)


def _kernel_drivers(host: Host, device: Device) -> list[str]:
    """Which drivers of the kernel hold the device's interfaces."""
    links = host.usb_devices.glob(f"{device.sysname}:*/driver")
    return sorted({link.resolve().name for link in links})


def _reading(device: Device, outcome: Outcome, seconds: float) -> Finding:
    match outcome:
        case Contents(key_id=key_id, blob=blob, proof=proof):
            proved = "it gave a proof" if proof is not None else "it cannot prove itself"
            text = f"USB key {key_id} was read in {seconds:.2f} s: {len(blob)} bytes; {proved}."
            return Finding(Level.OK, device.place, text)
        case Failed(reason=reason):
            return Finding(Level.PROBLEM, device.place, f"It was not read, after {seconds:.2f} s: {reason}")
        case _:
            return Finding(Level.WARNING, device.place, "It was pulled out meanwhile.", "Plug it in and try again.")
