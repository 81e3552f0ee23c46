"""The test's side of a umockdev test bed: plug devices in, start processes that see them."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import msgspec

ROOT = Path(__file__).parents[2]
PRELOAD = {"LD_PRELOAD": "libumockdev-preload.so.0"}
SYSTEM_PYTHON = "/usr/bin/python3"  # the one that has GObject introspection
KEY_IDS = (0x1209, 0xA1A1)
KEYBOARD = (0x046D, 0xC31C)
STICK = (0x0781, 0x5567)
_LAST_ADDRESS = 127


@dataclass(frozen=True)
class Key:
    """A licence key to plug in. `private_key` empty: it cannot prove itself."""

    serial: str
    licence: bytes
    private_key: bytes = b""
    fault: str = ""


@dataclass
class UmockBus:
    """A USB bus made of software. Devices are named by the port they are in, as `1-3`."""

    server: subprocess.Popen[str]
    root: str
    directory: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _address: int = 1

    def plug(self, port: str, key: Key, driver: str = "") -> None:
        """Plug a licence key in; `driver` is the kernel's driver that holds it, if any."""
        self._order(
            "plug_key",
            name=port,
            serial=key.serial,
            licence=base64.b64encode(key.licence).decode(),
            private_key=base64.b64encode(key.private_key).decode(),
            fault=key.fault,
            ids=KEY_IDS,
            **self._place(port, driver),
        )

    def plug_stick(
        self,
        port: str,
        serial: str,
        disk_bytes: bytes,
        fault: str = "",
        driver: str = "usb-storage",
        *,
        block_size: int = 512,
        block_device: str = "",
    ) -> None:
        """Plug in a USB stick with these bytes on it; `fault` is one of `stick_model.STICK_FAULTS`.

        `block_device` is the number (`8:0`) of the disk that the kernel has made of it, if any.
        """
        disk = self.directory / f"{port}.disk"
        disk.write_bytes(disk_bytes)
        place = {"block_device": block_device, **self._place(port, driver)}
        self._order(
            "plug_stick",
            name=port,
            serial=serial,
            disk=str(disk),
            ids=STICK,
            block_size=block_size,
            fault=fault,
            **place,
        )

    def plug_other(self, port: str, ids: tuple[int, int], serial: str, driver: str = "") -> None:
        """Plug in a device that is no licence key."""
        self._order("plug_other", name=port, ids=ids, serial=serial, **self._place(port, driver))

    def unplug(self, port: str) -> None:
        """Pull out what is in this port."""
        self._order("unplug", name=port)

    def reset(self, *ports: str) -> None:
        """Let what is in these ports leave and come back all at once, as when their hub resets."""
        self._order("reset", addresses={port: self._place(port, "")["address"] for port in ports})

    def fault(self, port: str, fault: str) -> None:
        """Give the device in this port a fault (see `model.FAULTS` and `stick_model.STICK_FAULTS`), or none."""
        self._order("fault", name=port, fault=fault)

    def touched(self, port: str) -> int:
        """Count the calls that were made to the device in this port."""
        return int(self._order("state", name=port)["touched"])

    def waiting(self, port: str) -> int:
        """Count the calls that wait for this device just now."""
        return int(self._order("state", name=port)["waiting"])

    def licence(self, port: str) -> bytes:
        """Return what is on the key in this port."""
        return base64.b64decode(self._order("licence", name=port))

    def stick_reads(self, port: str) -> int:
        """Count the READ commands that the stick in this port was given."""
        return int(self._order("stick", name=port)["reads"])

    def stick_resets(self, port: str) -> int:
        """Count the resets of the mass storage class that the stick in this port was given."""
        return int(self._order("stick", name=port)["resets"])

    def environment(self) -> dict[str, str]:
        """Return the environment in which a process, and all its children, see this bus."""
        return {**os.environ, **PRELOAD, "UMOCKDEV_DIR": self.root}

    def spawn(
        self, argv: list[str], stdout: IO[bytes] | int | None = None, stderr: IO[bytes] | int | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a process on this bus, with a pipe as its stdin; it is killed at the end of the test."""
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=stdout, stderr=stderr, cwd=ROOT, env=self.environment()
        )
        self.processes.append(process)
        return process

    def _place(self, port: str, driver: str) -> dict[str, Any]:
        self._address = self._address % _LAST_ADDRESS + 1  # as the kernel does: the one used longest ago
        return {"sysname": port, "bus": int(port.partition("-")[0]), "address": self._address, "driver": driver}

    def _order(self, action: str, **arguments: Any) -> Any:
        stdin, stdout = self.server.stdin, self.server.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"do": action, **arguments}) + "\n")
        stdin.flush()
        return json.loads(stdout.readline())["answer"]


@contextmanager
def umockdev_bus(directory: Path) -> Iterator[UmockBus]:
    """Run a test bed until the context is left; `directory` is for the processes' files."""
    environment = {**os.environ, **PRELOAD, "PYTHONPATH": os.pathsep.join([str(ROOT), _site_packages()])}
    argv = [SYSTEM_PYTHON, "-m", "tests.usbmodel.server"]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True, cwd=ROOT, env=environment) as server:
        assert server.stdout is not None
        bus = UmockBus(server, json.loads(server.stdout.readline())["root"], directory)
        try:
            yield bus
        finally:
            for process in bus.processes:
                process.kill()
                process.communicate()
            server.kill()
            server.wait()
            shutil.rmtree(bus.root)  # the server was given no time to


def _site_packages() -> str:
    """Return where the test's Python has its packages: the server needs cryptography from there."""
    return str(Path(msgspec.__file__).parents[1])


def python(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module with the test's own Python."""
    return [sys.executable, "-m", module, *arguments]
