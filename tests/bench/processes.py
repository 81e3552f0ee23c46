"""Floors as processes of their own, as the product's daemons are, and how much of the machine a process takes."""

from __future__ import annotations

import os
import re
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.local_etcd import LOOPBACK, die_with_parent
from tests.etcd_server import free_ports
from tests.waiting import eventually_sync


@contextmanager
def floor(name: str, *arguments: str) -> Iterator[tuple[str, int]]:
    """Run a program of `tests.bench.floors` that listens on a port; yield its URL and its process id."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", f"tests.bench.floors.{name}", str(port), *arguments]
    process = subprocess.Popen(
        command,
        cwd=Path(__file__).parents[2],
        stdin=subprocess.DEVNULL,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call
    )
    try:
        eventually_sync(lambda: _accepts(port), within=20, what=f"the floor {name} listens")
        yield f"http://{LOOPBACK}:{port}", process.pid
    finally:
        process.kill()
        process.wait()


def allow_many_files() -> None:
    """Let this process and those that it starts have as many connections as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def memory(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    told = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"^VmRSS:\s+(\d+) kB$", told, re.MULTILINE)
    assert found, "the process has ended"
    return int(found[1]) / 1024


def processor_seconds(pid: int) -> float:
    """Return how much processor time a process has used, which the scheduler counts in nanoseconds."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text(encoding="ascii").split()[0]) for task in tasks) / 1e9


def _accepts(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex((LOOPBACK, port)) == os.EX_OK
