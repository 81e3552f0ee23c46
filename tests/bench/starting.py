"""How long a daemon takes from the start of its process until it is ready, beside the import of its libraries."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from signal import SIGTERM

from tests.bench.compiled import compiled_code
from tests.bench.figures import Figure, at_most, compared
from tests.bench.row import Effort, Row, in_turn
from tests.bench.sites import PATIENCE, running_site
from tests.site import Daemon

IMPORTS = (sys.executable, "-c", "import aiohttp, grpc")


def cold_start(effort: Effort) -> Iterator[Figure]:
    """A daemon of a running site is stopped and started again; what is measured has run once before."""
    with running_site() as site, tempfile.TemporaryDirectory() as folder, compiled_code() as environment:
        manager = Path(folder, "notify")
        _imported_in(environment)
        for name, daemon in (("agent", site.agents["b"]), ("coordinator", site.coordinators["b"])):
            daemon.environment |= environment

            def start(daemon: Daemon = daemon) -> float:
                return _ready_in(daemon, manager)

            start()
            seconds = in_turn(effort.samples // 3, start, lambda: _imported_in(environment))
            yield from compared(f"cold_start.{name}", *seconds, {50: at_most(2), 99: None})


def _ready_in(daemon: Daemon, manager: Path) -> float:
    """Start the daemon anew as a service manager does; return the seconds until it says that it is ready."""
    daemon.end(SIGTERM)
    manager.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(manager))
        listening.settimeout(PATIENCE)
        daemon.environment["NOTIFY_SOCKET"] = str(manager)
        began = time.monotonic()
        daemon.start()
        while b"READY=1" not in listening.recv(4096).split(b"\n"):
            pass
        return time.monotonic() - began


def _imported_in(environment: Mapping[str, str]) -> float:
    began = time.monotonic()
    subprocess.run(IMPORTS, env=os.environ | environment, check=True)
    return time.monotonic() - began


ROW = Row(
    "cold_start",
    "the process starts, its code compiled before → the daemon tells the service manager `READY=1`",
    '`python -c "import aiohttp, grpc"`',
    "≤ 2 ×",
    cold_start,
)
