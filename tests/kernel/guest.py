"""The program that runs in the guest: carries out named actions that the tests order over a virtio serial port.

One JSON value a line: {"do": name, ...arguments} in, {"answer": value} or {"error": text} out. Every action is quick;
what takes time is a process, whose state is asked for. Nothing is decided here.
"""

from __future__ import annotations

import base64
import io
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from tests.kernel.guest_files import Openings, let_everybody_pass, usb_devices
from tests.kernel.guest_processes import Processes
from tests.kernel.guest_uevents import Uevents
from tests.kernel.vhci import Plugged
from tests.usbmodel.model import DeviceModel, KeyModel
from tests.usbmodel.stick_model import StickModel

PORT = "orders"
"""The name of the virtio serial port."""


class Guest:
    """The actions, one method each."""

    def __init__(self) -> None:
        self._processes = Processes(Path("/run/processes"))
        self._plugged: dict[int, Plugged] = {}
        self._openings = Openings()
        self._uevents = Uevents()

    def start(self, name: str, argv: list[str], **how: Any) -> None:
        """Start a process; see `Processes.start`."""
        self._processes.start(name, argv, **how)

    def send(self, name: str, number: int) -> None:
        """Send a signal to a process."""
        self._processes.send(name, number)

    def state(self, name: str) -> dict[str, Any]:
        """Tell how a process is: its exit code, None while it runs, and what it has printed."""
        return self._processes.state(name)

    def write(self, path: str, content: str) -> None:
        """Write a file (base64), which everybody may read."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(base64.b64decode(content))

    def group(self, name: str, gid: int) -> None:
        """Make a group of users."""
        with Path("/etc/group").open("a", encoding="ascii") as groups:
            groups.write(f"{name}:x:{gid}:\n")

    def exists(self, path: str) -> bool:
        """Tell whether there is such a file."""
        return Path(path).exists()

    def remove(self, path: str) -> None:
        """Remove a file."""
        Path(path).unlink()

    def directory(self, path: str, uid: int) -> None:
        """Make a directory for a user."""
        Path(path).mkdir(parents=True)
        os.chown(path, uid, uid)

    def plug(self, port: int, model: dict[str, Any], fault: str = "") -> float:
        """Plug a software device into a port of the virtual controller; its fault begins once it is configured.

        Returns the monotonic time (seconds) just before.
        """
        begun = time.monotonic()
        made = _model(**model)
        self._plugged[port] = Plugged(port, made, lambda: setattr(made, "fault", fault))
        return begun

    def unplug(self, port: int) -> None:
        """Pull a software device out."""
        self._plugged.pop(port).unplug()

    def transfers(self, port: int) -> int:
        """Count what was asked of a software device since it was configured."""
        return self._plugged[port].transfers

    def devices(self) -> list[dict[str, Any]]:
        """List the USB devices, without asking any of them anything."""
        return usb_devices()

    def watch_openings(self, paths: list[str]) -> None:
        """Begin to count who opens these files."""
        self._openings.watch(paths)

    def openings(self) -> dict[str, int]:
        """Tell how often each watched file was opened since."""
        return self._openings.counts()

    def uevents(self) -> list[dict[str, Any]]:
        """Tell the kernel's USB events since the last call, with the monotonic time in seconds."""
        return self._uevents.taken()


def _model(kind: str, serial: str, ids: tuple[int, int], **more: Any) -> DeviceModel:
    if kind == "key":
        private = base64.b64decode(more["private_key"]) or None
        return KeyModel(serial, base64.b64decode(more["licence"]), private, (ids[0], ids[1]))
    if kind == "stick":
        return StickModel(serial, base64.b64decode(more["disk"]), (ids[0], ids[1]))
    assert kind == "other", kind
    return DeviceModel(ids[0], ids[1], serial)


def _open_port() -> io.FileIO:
    for name in Path("/sys/class/virtio-ports").glob("*/name"):
        if name.read_text(encoding="ascii").strip() == PORT:
            return io.FileIO(f"/dev/{name.parent.name}", "r+")
    raise FileNotFoundError(f"this machine has no virtio serial port {PORT}")


def main() -> None:
    """Carry out orders until the machine is turned off."""
    let_everybody_pass(Path(sys.executable), Path.cwd())
    guest, port = Guest(), _open_port()
    for line in io.BufferedReader(port):
        order = json.loads(line)
        try:
            reply = {"answer": getattr(guest, order.pop("do"))(**order)}
        except Exception:  # noqa: BLE001 - the test is told
            reply = {"error": traceback.format_exc()}
        unsent = memoryview(json.dumps(reply).encode() + b"\n")
        while unsent:
            unsent = unsent[port.write(unsent) :]


if __name__ == "__main__":
    main()
