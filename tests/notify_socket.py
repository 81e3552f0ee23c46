"""A service manager's socket for tests: it receives what a daemon says, as systemd does."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Self


class NotifySocket:
    """Listens at a path, or with an `@` in front at an abstract address; `said` has all lines that came, in order."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(0)
        self._said: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    @property
    def said(self) -> list[str]:
        """All lines that came so far."""
        while True:
            try:
                self._said += self._socket.recv(65536).decode().split("\n")
            except BlockingIOError:
                return self._said

    @property
    def states(self) -> list[str]:
        """What was said of the daemon's life alone: `READY=1`, `RELOADING=1`, `STOPPING=1`."""
        return [line for line in self.said if line in {"READY=1", "RELOADING=1", "STOPPING=1"}]

    def count(self, line: str) -> int:
        """How often this line came."""
        return self.said.count(line)
