"""How soon another node publishes after the leader has gone, beside what etcd takes for the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from signal import SIGKILL, SIGTERM, Signals

from tests.bench.bare import Bare, connected
from tests.bench.figures import Figure, at_most, compared
from tests.bench.row import Effort, Row
from tests.bench.sites import DEFAULTS, PATIENCE, listeners, running_site
from tests.measure.listening import Listener, Status
from tests.site import KEYS, LiveSite, let_pass

REST = 1.0
"""Seconds in which a node that has come back has settled; the floor rests as long before it hands over."""
LEADER, STATUS = "/floor/leader", "/floor/status"


def failover_kill(effort: Effort) -> Iterator[Figure]:
    """The leader is killed; its lease has to run out, and etcd says when the very same lease did."""
    with running_site() as site:
        seconds = asyncio.run(_killed(site, effort.slow_samples))
    yield from compared("failover_kill", *seconds, {50: at_most(1.1), 99: None})


def failover_stop(effort: Effort) -> Iterator[Figure]:
    """The leader is told to stop; beside it one bare client hands over to another one."""
    with running_site() as site:
        seconds = asyncio.run(_stopped(site, effort.slow_samples))
    yield from compared("failover_stop", *seconds, {50: at_most(3), 99: None})


async def _killed(site: LiveSite, times: int) -> tuple[list[float], list[float]]:
    hears, published, expired = listeners(site), list[float](), list[float]()
    async with connected(site.etcd.endpoints[0]) as client:
        for _ in range(times):
            async with client.watching(KEYS.leader) as watch:
                began, heard = lose_leader(site, hears, SIGKILL)
                await watch.delivery()
                expired.append(time.monotonic() - began)
                published.append(await heard - began)
            await asyncio.to_thread(come_back, site, hears)
    return published, expired


async def _stopped(site: LiveSite, times: int) -> tuple[list[float], list[float]]:
    hears, published, handed_over = listeners(site), list[float](), list[float]()
    endpoint = site.etcd.endpoints[0]
    async with connected(endpoint) as one, connected(endpoint) as other, connected(endpoint) as reader:
        status = await reader.read(KEYS.status)
        for _ in range(times):
            began, heard = lose_leader(site, hears, SIGTERM)
            published.append(await heard - began)
            await asyncio.to_thread(come_back, site, hears)
            handed_over.append(await hand_over(one, other, reader, status))
    return published, handed_over


def lose_leader(site: LiveSite, hears: Mapping[str, Listener], signal: Signals) -> tuple[float, asyncio.Future[float]]:
    """Send the leading coordinator a signal; return when, and the moment at which what the other publishes is heard.

    Before that the other node already tells who leads now, beside what its predecessor published.
    """
    leader, other = site.leader()
    epoch = site.status(leader)["epoch"]

    def by_the_other(status: Status) -> bool:
        return not status["stale"] and status["epoch"] > epoch

    began = time.monotonic()
    site.coordinators[leader].send(signal)
    heard = asyncio.to_thread(hears[other].first, by_the_other, began, DEFAULTS.lease_ttl + PATIENCE)
    return began, asyncio.ensure_future(heard)


def come_back(site: LiveSite, hears: dict[str, Listener]) -> None:
    """Start what has gone, and listen to it again."""
    (gone,) = (label for label, daemon in site.coordinators.items() if label not in site.leaders())
    site.coordinators[gone].end(SIGKILL)
    site.start()
    hears[gone] = Listener(site.nodes[gone].port, site.site.token)
    let_pass(REST)


async def hand_over(one: Bare, other: Bare, reader: Bare, status: bytes) -> float:
    """Let one client lead and give up, and another be elected and publish; return the seconds until a third is told."""
    lease = await one.grant(DEFAULTS.lease_ttl)
    await one.fenced(LEADER, 0, [(LEADER, b"one")], lease)
    async with other.watching(LEADER) as leader, reader.watching(STATUS) as published:
        next_lease = await other.grant(DEFAULTS.lease_ttl)
        await asyncio.to_thread(let_pass, REST)
        began = time.monotonic()
        revoked = asyncio.ensure_future(one.revoke(lease))
        await leader.delivery()
        epoch = await other.fenced(LEADER, 0, [(LEADER, b"other")], next_lease)
        written = asyncio.ensure_future(other.fenced(LEADER, epoch, [(STATUS, status)]))
        await published.delivery()
        seconds = time.monotonic() - began
        await revoked
        await written
    await other.revoke(next_lease)
    return seconds


ROWS = (
    Row(
        "failover_kill",
        "the leading coordinator is killed → what the other node publishes is heard",
        f"the killed leader's own lease of {DEFAULTS.lease_ttl} s expires in etcd, as a bare watch is told",
        "≤ 1.1 ×",
        failover_kill,
    ),
    Row(
        "failover_stop",
        "the leading coordinator is told to stop → what the other node publishes is heard",
        "a bare fenced re-election: one client revokes, another is elected and writes, a third is told",
        "≤ 3 ×",
        failover_stop,
    ),
)
