"""A long-running program on a host: started, frozen, thawed, killed, with all that it starts itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM, Signals

from tests.netsite.namespaces import Host

ENDED_WITHIN = 10.0


class Program:
    """One program in a process group of its own; its log goes on from one start to the next.

    `lasting` is what every start adds to the environment, `environment` what the next one adds; `leftovers` are files
    that one which was killed leaves behind, and the next must not find. Start it from a thread that lives as long as it
    shall: the kernel kills it when that thread ends.
    """

    def __init__(self, host: Host, command: Sequence[str], folder: Path, log: Path) -> None:
        self.command = command
        self.environment: dict[str, str] = {}
        self.lasting: Mapping[str, str] = {}
        self.leftovers: tuple[Path, ...] = ()
        self._host = host
        self._folder = folder
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, or let it go on where it is frozen."""
        if self.running:
            self.send(SIGCONT)
            return
        for file in self.leftovers:
            file.unlink(missing_ok=True)
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("TWINKEY_", "ETCD_"))}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                env=ours | dict(self.lasting) | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
                preexec_fn=self._host.entering(self._folder),  # noqa: PLW1509 - some system calls
            )

    @property
    def running(self) -> bool:
        """Whether it is there, frozen or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id of the last start."""
        assert self._process
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs, or before its first start."""
        return self._process.poll() if self._process else None

    @property
    def log(self) -> str:
        """All that it and those before it have logged."""
        return self._log.read_text(errors="replace")

    def send(self, number: Signals) -> None:
        """Send a signal to all of it and go on."""
        if self.running:
            assert self._process
            os.killpg(self._process.pid, number)

    def freeze(self) -> None:
        """Stop all of it where it is; its connections stay open."""
        self.send(SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.send(SIGCONT)

    def kill(self) -> None:
        """End all of it by force."""
        self.send(SIGKILL)
        self._wait()

    def stop(self) -> None:
        """Tell it to end, let it go on where it is frozen, and wait until it has ended."""
        if self.running:
            assert self._process
            self._process.send_signal(SIGTERM)
            self.thaw()
            self._wait()

    def _wait(self) -> None:
        if self._process:
            self._process.wait(timeout=ENDED_WITHIN)
