"""Names the machine on which something was measured, and the versions of what was measured on it."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from cluster.local_etcd import find_etcd

LIBRARIES = ("aiohttp", "grpcio", "msgspec", "prometheus-client")


def machine() -> dict[str, str]:
    """Return what it is, by what it is called."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "etcd": _etcd(),
        **{name: version(name) for name in LIBRARIES},
    }


def _processor() -> str:
    known = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    found = re.search(r"^model name\s*:\s*(.+)$", known, re.MULTILINE)
    return found[1] if found else platform.machine()


def _etcd() -> str:
    told = subprocess.run([find_etcd(), "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    found = re.search(r"etcd Version: (\S+)", told)
    return found[1] if found else "unknown"
