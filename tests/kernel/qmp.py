"""QEMU's control protocol (QMP), as far as the tests need it: one command after the other."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

_PATIENCE = 10.0


class Qmp:
    """A connection to a QEMU that listens on this unix socket."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_PATIENCE)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._lines = self._socket.makefile("rb")
        self._lines.readline()  # the greeting
        self.command("qmp_capabilities")

    def command(self, name: str, **arguments: Any) -> Any:
        """Give a command and return what QEMU says; events that come meanwhile are left aside."""
        named = {key.replace("_", "-"): value for key, value in arguments.items()}
        self._socket.sendall(json.dumps({"execute": name, "arguments": named}).encode() + b"\n")
        while line := self._lines.readline():
            reply = json.loads(line)
            assert "error" not in reply, (name, arguments, reply)
            if "return" in reply:
                return reply["return"]
        raise AssertionError(f"QEMU ended at {name}")

    def close(self) -> None:
        """Hang up."""
        self._lines.close()
        self._socket.close()
