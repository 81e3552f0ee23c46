"""The processes that the tests run in the guest, each with a name and a file for what it prints."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any


class Processes:
    """Starts processes and remembers them by name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder.mkdir()
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(
        self, name: str, argv: list[str], environment: dict[str, str] | None = None, uid: int = 0, umask: int = 0o022
    ) -> None:
        """Start a process with that user and group, in the checkout; its stdin stays open and empty."""
        before = self._running.get(name)
        assert before is None or before.poll() is not None, f"{name} runs already"
        with self._log(name).open("wb") as log:
            self._running[name] = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                user=uid,
                group=uid,
                extra_groups=[],
                umask=umask,
            )

    def send(self, name: str, number: int) -> None:
        """Send a signal."""
        self._running[name].send_signal(number)

    def state(self, name: str) -> dict[str, Any]:
        """Return the exit code, None while it runs, and what it has printed so far."""
        code = self._running[name].poll()
        return {"code": code, "printed": self._log(name).read_text(encoding="utf-8", errors="replace")}

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"
