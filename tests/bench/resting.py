"""What a site takes of its machines while nothing happens, beside an idle process made of the same libraries."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.figures import Figure, at_most
from tests.bench.processes import floor, memory, processor_seconds
from tests.bench.row import Effort, Row
from tests.bench.sites import running_site
from tests.site import let_pass

CORE_ALLOWED = 0.3
"""Percent of a core."""
SETTLED = 5.0
"""Seconds after which what the start set off has ended."""


def idle(effort: Effort) -> Iterator[Figure]:
    """Nothing happens for a while; of two daemons of a kind the one that takes more is told."""
    with (
        running_site() as site,
        floor("idle", site.etcd.endpoints[0]) as (_, bare),
        floor("renewing", site.etcd.endpoints[0]) as (_, by_hand),
    ):
        pids = {
            kind: [daemon.pid for daemon in daemons.values()]
            for kind, daemons in (("agent", site.agents), ("coordinator", site.coordinators))
        }
        everybody = [pid for kind in pids.values() for pid in kind] + [bare, by_hand]
        let_pass(SETTLED)
        revision, before = site.revision, {pid: processor_seconds(pid) for pid in everybody}
        let_pass(effort.rest)
        percent = {pid: 100 * (processor_seconds(pid) - before[pid]) / effort.rest for pid in everybody}
        written = (site.revision - revision) * 60 / effort.rest
        for kind, those in pids.items():
            used = max(percent[pid] for pid in those)
            yield Figure(f"idle.{kind}.cpu", used, "% of a core", CORE_ALLOWED, 1, at_most(1))
            yield Figure(f"idle.{kind}.rss", max(map(memory, those)), "MiB", memory(bare), 1, at_most(1.3))
        yield Figure("idle.by_hand.cpu", percent[by_hand], "% of a core", CORE_ALLOWED, 1)
        yield Figure("idle.by_hand.rss", memory(by_hand), "MiB", memory(bare), 1)
        yield Figure("idle.floor.cpu", percent[bare], "% of a core", CORE_ALLOWED, 1)
        yield Figure("idle.writes", written, "1/min", 0, 1, at_most(1))


ROW = Row(
    "idle",
    "processor and memory of each daemon at rest, and writes to etcd beyond keepalives",
    f"memory: an idle aiohttp + grpc process; processor: allowed are {CORE_ALLOWED:g} % of a core; writes: none; "
    "`by_hand`: a process with a coordinator's libraries and no code that renews a lease as often and watches a key",
    "≤ 0.3 % of a core, memory ≤ 1.3 ×, 0 writes",
    idle,
)
