"""The USB devices of a virtual machine, as the tests plug them in and pull them out.

Software devices are in the ports of a virtual host controller in the guest, numbered from 0; QEMU's own devices are on
its xHCI and have names.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.kernel.machine import Machine
from tests.usbmodel.testbed import KEY_IDS, STICK, Key
from tests.waiting import eventually_sync

Device = dict[str, Any]
"""What `tests.kernel.guest_files.usb_devices` says of a device."""


class Devices:
    """What is plugged into one machine by the tests."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._software: set[int] = set()
        self._emulated: dict[str, str] = {}

    def plug(self, port: int, key: Key) -> float:
        """Plug a licence key in; its fault begins once the kernel has found it.

        Returns the guest's monotonic time (seconds) just before.
        """
        model = {
            "kind": "key",
            "serial": key.serial,
            "ids": KEY_IDS,
            "licence": base64.b64encode(key.licence).decode(),
            "private_key": base64.b64encode(key.private_key).decode(),
        }
        return self._plug(port, model, key.fault)

    def plug_all(self, keys: Iterable[Key]) -> None:
        """Plug licence keys into the ports from 0 on."""
        for port, key in enumerate(keys):
            self.plug(port, key)

    def plug_stick(self, port: int, serial: str, disk: bytes, fault: str = "") -> None:
        """Plug in a software stick with these bytes on it."""
        content = base64.b64encode(disk).decode()
        self._plug(port, {"kind": "stick", "serial": serial, "ids": STICK, "disk": content}, fault)

    def plug_other(self, port: int, ids: tuple[int, int], serial: str = "") -> None:
        """Plug in a software device that is no licence key."""
        self._plug(port, {"kind": "other", "serial": serial, "ids": ids})

    def unplug(self, *ports: int) -> None:
        """Pull software devices out, one after the other at once."""
        for port in ports:
            self._software.remove(port)
            self._machine.order("unplug", port=port)

    def transfers(self, port: int) -> int:
        """Count what was asked of a software device since the kernel configured it."""
        return int(self._machine.order("transfers", port=port))

    def add(self, name: str, kind: str, **properties: Any) -> None:
        """Plug in a device that QEMU emulates, as `usb-kbd`."""
        self._machine.qmp("device_add", driver=kind, id=name, bus="xhci.0", **properties)
        self._emulated[name] = ""

    def add_stick(self, name: str, image: Path, serial: str) -> None:
        """Plug in a stick whose content is this file on the host."""
        file = {"driver": "file", "filename": str(image)}
        self._machine.qmp("blockdev-add", driver="raw", node_name=f"of-{name}", file=file)
        self.add(name, "usb-storage", drive=f"of-{name}", serial=serial)
        self._emulated[name] = f"of-{name}"

    def remove(self, name: str) -> None:
        """Pull out a device that QEMU emulates."""
        self._machine.qmp("device_del", id=name)
        if content := self._emulated.pop(name):
            eventually_sync(lambda: self._let_go(content), 5, f"{content} is still in use")

    def remove_all(self) -> None:
        """Pull out whatever the tests have plugged in."""
        self.unplug(*self._software.copy())
        for name in list(self._emulated):
            self.remove(name)

    def listed(self, ids: tuple[int, int], count: int = 1, within: float = 5.0) -> list[Device]:
        """Return the devices with these ids as soon as the kernel lists so many."""
        found: list[Device] = []

        def look() -> bool:
            found[:] = (device for device in self._machine.order("devices") if tuple(device["ids"]) == ids)
            assert len(found) == count, found
            return True

        eventually_sync(look, within)
        return found

    def _plug(self, port: int, model: Device, fault: str = "") -> float:
        begun: float = self._machine.order("plug", port=port, model=model, fault=fault)
        self._software.add(port)
        return begun

    def _let_go(self, node: str) -> bool:
        try:
            self._machine.qmp("blockdev-del", node_name=node)
        except AssertionError as error:
            raise LookupError(str(error)) from error
        return True
