"""A virtual machine with a real Debian kernel, whose files are this machine's, read only, under a layer of its own.

It runs this checkout with this Python as they are. The processor is emulated (TCG), so that it runs wherever the tests
do. The guest reaches this machine's loopback at `HOST`, and nothing else.
"""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from cluster.local_etcd import die_with_parent
from tests.kernel.guest import PORT
from tests.kernel.image import initramfs, kernel
from tests.kernel.qmp import Qmp
from tests.waiting import eventually_sync

QEMU = "qemu-system-x86_64"
HOST = "10.0.2.2"
BOOT_SECONDS = 90.0  # takes 10; on a machine that is busy otherwise, several times that
_TAIL = 4000


class Machine:
    """One virtual machine; `folder` is for its sockets and its console, and has a short path."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._console = folder / "console"
        self._process: subprocess.Popen[bytes] | None = None
        self._qmp: Qmp | None = None
        self._orders: socket.socket | None = None
        self._pending = b""

    def start(self) -> None:
        """Start it, and return when its guest carries out orders."""
        (self._folder / "initramfs").write_bytes(initramfs())
        with self._console.open("wb") as console:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call
            )
        self._orders = eventually_sync(self._connect, 10, f"{QEMU} does not start")
        self._qmp = eventually_sync(lambda: Qmp(self._folder / "qmp"), 10, f"{QEMU} does not take commands")
        self.order("devices", within=BOOT_SECONDS)

    def stop(self) -> None:
        """Turn it off."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(timeout=10)
        if self._qmp:
            self._qmp.close()
        if self._orders:
            self._orders.close()

    @property
    def console(self) -> str:
        """The end of what the kernel and our program in the guest have said."""
        return self._console.read_text(encoding="utf-8", errors="replace")[-_TAIL:]

    def order(self, action: str, within: float = 10.0, **arguments: Any) -> Any:
        """Have the guest carry out an action (a method of `tests.kernel.guest.Guest`) and return its answer."""
        assert self._orders
        deadline = time.monotonic() + within
        try:
            self._orders.settimeout(within)
            self._orders.sendall(json.dumps({"do": action, **arguments}).encode() + b"\n")
            reply = json.loads(self._line(deadline))
        except OSError as error:
            raise AssertionError(f"the guest does not answer to {action}: {error}\n{self.console}") from error
        assert "error" not in reply, reply["error"]
        return reply["answer"]

    def qmp(self, command: str, **arguments: Any) -> Any:
        """Give QEMU a command."""
        assert self._qmp
        return self._qmp.command(command, **arguments)

    def write(self, path: str, content: bytes) -> None:
        """Write a file in the guest."""
        self.order("write", path=path, content=base64.b64encode(content).decode())

    def run(self, name: str, argv: list[str], within: float) -> int:
        """Run a process in the guest to its end and return its exit code."""
        self.order("start", name=name, argv=argv)
        state = eventually_sync(lambda: self._ended(name), within, f"{name} does not end")
        return int(state["code"])

    def _ended(self, name: str) -> dict[str, Any] | None:
        state: dict[str, Any] = self.order("state", name=name)
        return None if state["code"] is None else state

    def _line(self, deadline: float) -> bytes:
        assert self._orders
        while b"\n" not in self._pending:
            self._orders.settimeout(max(deadline - time.monotonic(), 0.001))
            part = self._orders.recv(1 << 16)
            if not part:
                raise ConnectionError("the machine is off")
            self._pending += part
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _connect(self) -> socket.socket:
        assert self._process
        if self._process.poll() is not None:
            raise RuntimeError(f"{QEMU} ended: {self.console}")
        orders = socket.socket(socket.AF_UNIX)
        orders.connect(str(self._folder / "orders"))
        return orders

    def _command(self) -> list[str]:
        console = "console=ttyS0 quiet panic=-1 tsc=unstable"
        return [
            *(QEMU, "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio"),
            *("-machine", "q35,usb=off", "-accel", "tcg,thread=multi", "-smp", "2", "-m", "1024"),
            *("-kernel", str(kernel()), "-initrd", str(self._folder / "initramfs"), "-append", console),
            *("-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"),
            *("-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net", "-device", "virtio-rng-pci"),
            *("-device", "qemu-xhci,id=xhci,p2=8,p3=8", "-device", "virtio-serial-pci"),
            *("-chardev", f"socket,id=orders,path={self._folder}/orders,server=on,wait=off"),
            *("-device", f"virtserialport,chardev=orders,name={PORT}"),
            *("-qmp", f"unix:{self._folder}/qmp,server=on,wait=off"),
        ]
