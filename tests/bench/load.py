"""Load from wrk, a compiled generator of HTTP requests: Python could not ask fast enough to tell anything."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

SCRIPT = Path(__file__).with_name("load.lua")
THREADS = 1
"""One is faster than any server in Python, and leaves the other processors alone."""
PATIENCE = 60


@dataclass(frozen=True)
class Request:
    """What is asked again and again, with one of the `bodies`, of a line each, if there are any.

    `starts`: add to the path a `start` from 0 to that, another one each time.
    """

    path: str
    method: str = "GET"
    bodies: Sequence[str] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    starts: int | None = None


class Load(NamedTuple):
    """What came of it: answers, their number a second, and how many seconds half and 99 of 100 took at most."""

    requests: int
    rate: float
    p50: float
    p99: float


def load(url: str, request: Request, connections: int, seconds: float) -> Load:
    """Put a server under load.

    Raises:
        RuntimeError: wrk is missing, or a request failed, so that the rest says nothing.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        raise RuntimeError("wrk is missing: run `make bench`, or install Debian's package wrk")
    headers = [f"--header={name}: {value}" for name, value in request.headers.items()]
    sizes = [
        f"--threads={THREADS}",
        f"--connections={connections}",
        f"--duration={math.ceil(seconds)}s",
        "--timeout=10s",
    ]
    wishes = {"LOAD_METHOD": request.method}
    if request.bodies:
        wishes["LOAD_BODIES"] = "\n".join(request.bodies)
    if request.starts is not None:
        wishes["LOAD_STARTS"] = str(request.starts)
    done = subprocess.run(
        [wrk, *sizes, *headers, "--script", str(SCRIPT), url + request.path],
        env=os.environ | wishes,
        capture_output=True,
        text=True,
        timeout=seconds + PATIENCE,
        check=True,
    )
    told = json.loads(done.stdout.rstrip().rpartition("\n")[2])
    if told["failed"] or not told["requests"]:
        raise RuntimeError(f"{told['failed']} requests to {url}{request.path} failed; {told['requests']} did not")
    return Load(told["requests"], told["requests"] / told["seconds"], told["p50"], told["p99"])
