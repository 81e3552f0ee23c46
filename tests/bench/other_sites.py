"""Other sites on a shared etcd: the clients of two agents and two coordinators each, and what they write.

Usage: python -m tests.bench.other_sites ENDPOINT NUMBER. It says `ready` when all have begun. Leases, watches and
probes are the product's own, at its own cadence. A site reports and publishes something new twice a minute, far more
often than anybody plugs keys.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from cluster.etcd import EtcdStore
from cluster.keys import Keys
from cluster.lease import LeaseKeeper
from cluster.mirror import Mirror
from cluster.store import Put, StoreError
from cluster.timings import Timings, agent_timings

NODES = ("node-a", "node-b")
OF_AGENTS, OF_COORDINATORS = agent_timings(Timings().agent_lease_ttl), Timings()
NEWS_EVERY = 30.0
REPORT, STATUS, LEDGER, CLOCK = 1500, 4000, 3000, 100
"""Bytes."""
BEGIN_WITHIN = 10.0
PAUSE = 0.5


class OtherSite:
    """The clients of one site."""

    def __init__(self, endpoint: str, number: int) -> None:
        self._keys = Keys(f"other-{number}")
        self._agents = [EtcdStore([endpoint], OF_AGENTS) for _ in NODES]
        self._coordinators = [EtcdStore([endpoint], OF_COORDINATORS) for _ in NODES]
        self._waits = NEWS_EVERY * (number * 0.618 % 1)
        """Seconds until its first news, so that the sites do not all do the same at once."""

    async def run(self, begun: Callable[[], None]) -> None:
        """Do what the daemons do until cancelled; `begun` is called when the leader is there."""
        keys = self._keys
        async with asyncio.TaskGroup() as group:
            for node, store in zip(NODES, self._agents, strict=True):
                group.create_task(Mirror(store, keys.status, OF_AGENTS).run())
                group.create_task(Mirror(store, keys.reread(node), OF_AGENTS).run())
                group.create_task(patiently(self._report, node, store))
            for store in self._coordinators:
                group.create_task(Mirror(store, keys.prefix, OF_COORDINATORS, without=keys.records).run())
            group.create_task(patiently(self._lead, self._coordinators[0], begun))
            group.create_task(patiently(self._wait_to_lead, self._coordinators[1]))

    async def _report(self, node: str, store: EtcdStore) -> None:
        """Hold a report by a lease, and write another one now and then."""
        lease, keys = await LeaseKeeper.start(store, OF_AGENTS.agent_lease_ttl, OF_AGENTS), self._keys
        await asyncio.sleep(self._waits)
        while True:
            report = os.urandom(REPORT)
            await store.commit((), (Put(keys.node(node), report, lease.lease_id), Put(keys.last_seen(node), report)))
            await asyncio.sleep(NEWS_EVERY)

    async def _lead(self, store: EtcdStore, begun: Callable[[], None]) -> None:
        """Hold the leader key by a lease, and publish now and then."""
        lease, keys = await LeaseKeeper.start(store, OF_COORDINATORS.lease_ttl, OF_COORDINATORS), self._keys
        await store.commit((), (Put(keys.leader, b"leader", lease.lease_id),))
        begun()
        await asyncio.sleep(self._waits)
        while True:
            sizes = {keys.status: STATUS, keys.ledger: LEDGER, keys.clock: CLOCK}
            await store.commit((), [Put(key, os.urandom(size)) for key, size in sizes.items()])
            await asyncio.sleep(NEWS_EVERY)

    async def _wait_to_lead(self, store: EtcdStore) -> None:
        """Hold a lease ready."""
        lease = await LeaseKeeper.start(store, OF_COORDINATORS.lease_ttl, OF_COORDINATORS)
        await lease.lost.after(0)


async def patiently(work: Callable[..., Awaitable[None]], *arguments: Any) -> None:
    """Do it, and again where etcd did not answer, as the daemons do."""
    while True:
        try:
            await work(*arguments)
        except StoreError as error:
            sys.stderr.write(f"another site: {error}\n")
            await asyncio.sleep(PAUSE)


async def main(endpoint: str, number: str) -> None:
    """Run so many sites until killed; one begins after the other, as they do in life."""
    async with asyncio.TaskGroup() as group:
        for place in range(int(number)):
            begun = asyncio.Event()
            group.create_task(OtherSite(endpoint, place).run(begun.set))
            async with asyncio.timeout(BEGIN_WITHIN):
                await begun.wait()
        sys.stdout.write("ready\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
