"""Where the time and the memory go: a plugged key and the start of a daemon, each by its steps.

The steps are seen from outside, so that nothing in the product serves the measuring of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise

from tests.bench.bare import Watch, connected
from tests.bench.compiled import compiled_code
from tests.bench.figures import MILLI, median
from tests.bench.processes import processor_seconds
from tests.bench.publishing import plug, pull
from tests.bench.row import Effort
from tests.bench.sites import listeners, running_site
from tests.site import KEYS, LiveSite

IMPORTS = {
    "Python itself": "sys",
    "aiohttp and gRPC": "aiohttp, grpc.aio",
    "etcd's messages": "cluster.etcd_rpc",
    "signatures of licences": "licensing.envelope",
}
"""What every daemon imports; the rest of its code comes last."""
DAEMONS = {"agent": "agent.main", "coordinator": "coordinator.main"}
SAMPLES_PER_START = 10
START = """
import gc, json, time
gc.disable()  # as the daemons do meanwhile
def reached():
    with open("/proc/self/status") as status:
        (kib,) = (int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    return time.monotonic(), kib / 1024
points = []
{imports}
print(json.dumps(points))
"""


@dataclass(frozen=True)
class Step:
    """A step of something: how many milliseconds and MiB of memory it takes, as medians; None where it is not seen."""

    of: str
    name: str
    milliseconds: float
    memory: float | None = None


def steps(effort: Effort) -> list[Step]:
    """Return the steps of everything that is taken apart."""
    with running_site() as site:
        found = asyncio.run(_plugged(site, effort.samples))
    for name, module in DAEMONS.items():
        found += _imported(name, module, max(effort.samples // SAMPLES_PER_START, 3))
    return found


async def _plugged(site: LiveSite, times: int) -> list[Step]:
    """Plug a key in again and again while a bare client of etcd sees the report and the status pass."""
    hears, key, moments = listeners(site), site.new_key("K1"), list[tuple[float, float, float, float]]()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(connected(site.etcd.endpoints[0]))
        reported, published = [
            await stack.enter_async_context(_noted(await stack.enter_async_context(client.watching(key))))
            for key in (site.report_key("a"), KEYS.status)
        ]
        processes = [daemon.pid for daemon in site.daemons]
        used = sum(map(processor_seconds, processes))
        for _ in range(times + 1):
            began, heard = await asyncio.to_thread(plug, site, hears, key)
            in_etcd = _last(published, heard)
            moments.append((began, _last(reported, in_etcd), in_etcd, heard))
            await asyncio.to_thread(pull, site, hears, key)
    names = ("plugged in → its report is in etcd", "→ the new status is in etcd", "→ it is heard from both nodes")
    used = sum(map(processor_seconds, processes)) - used
    taken = zip(*moments[1:], strict=True)  # the first one ends the trial, too
    return [
        *(
            Step("a plugged key", name, MILLI * median([after - before for before, after in zip(*each, strict=True)]))
            for name, each in zip(names, pairwise(taken), strict=True)
        ),
        Step("a key plugged in and pulled out", "processor time of all four daemons", MILLI * used / (times + 1)),
    ]


@asynccontextmanager
async def _noted(watch: Watch) -> AsyncIterator[Sequence[float]]:
    """Note the moments of a watch's deliveries for the length of the context."""
    moments = list[float]()

    async def note() -> None:
        while True:
            await watch.delivery()
            moments.append(time.monotonic())

    noting = asyncio.create_task(note())
    try:
        yield moments
    finally:
        noting.cancel()


def _last(moments: Sequence[float], until: float) -> float:
    return max(each for each in moments if each <= until)


def _imported(daemon: str, module: str, times: int) -> list[Step]:
    """Import what a daemon consists of so often, each time in a new process; it was compiled before."""
    imports = IMPORTS | {"all other code": module}
    lines = [f"import {each}\npoints.append(reached())" for each in imports.values()]
    program = START.format(imports="\n".join(lines))
    milliseconds, memory = ({name: list[float]() for name in imports} for _ in range(2))
    with compiled_code() as environment:
        for number in range(times + 1):
            began = time.monotonic()
            done = subprocess.run(
                (sys.executable, "-c", program),
                env=os.environ | environment,
                check=True,
                capture_output=True,
                text=True,
            )
            points = [(began, 0.0), *map(tuple, json.loads(done.stdout))]
            for name, ((at, before), (then, after)) in zip(imports, pairwise(points), strict=True):
                if number:
                    milliseconds[name].append(MILLI * (then - at))
                    memory[name].append(after - before)
    of = f"the code of the {daemon}"
    return [Step(of, name, median(milliseconds[name]), median(memory[name])) for name in imports]
