"""What the kernel itself says of USB devices being plugged in and pulled out, and when."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from threading import Thread
from typing import Any

_KERNEL_UEVENTS = 15  # NETLINK_KOBJECT_UEVENT
_FROM_THE_KERNEL = 1  # the multicast group; udevd's own is another


class Uevents:
    """Collects events from now on."""

    def __init__(self) -> None:
        self._collected: list[dict[str, Any]] = []
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _KERNEL_UEVENTS)
        self._socket.bind((0, _FROM_THE_KERNEL))
        Thread(target=self._collect, daemon=True).start()

    def taken(self) -> list[dict[str, Any]]:
        """Return what was collected since the last call."""
        taken, self._collected = self._collected, []
        return taken

    def _collect(self) -> None:
        for at, event in self._received():
            if event.get("SUBSYSTEM") == "usb":
                kind, device = event["DEVTYPE"], event["DEVPATH"].rpartition("/")[2]
                self._collected.append({"at": at, "action": event["ACTION"], "kind": kind, "device": device})

    def _received(self) -> Iterator[tuple[float, dict[str, str]]]:
        while True:
            with contextlib.suppress(OSError):  # some were lost: the socket was full
                message = self._socket.recv(16384)
                pairs = (part.partition("=") for part in message.decode(errors="replace").split("\0") if "=" in part)
                yield time.monotonic(), {name: value for name, _, value in pairs}
