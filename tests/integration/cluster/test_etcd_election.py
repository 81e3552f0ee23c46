"""Candidates on a real etcd: late writes are refused, and no epoch has two leaders."""

from __future__ import annotations

import asyncio
import contextlib
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from cluster.election import Election
from cluster.etcd import EtcdStore
from cluster.mirror import Mirror
from cluster.store import Put, Refused, Unavailable
from cluster.timings import Timings
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tests.etcd_server import EtcdCluster

TIMINGS = Timings()
KEY = "/s/leader"


class Node:
    """One candidate with its client."""

    def __init__(self, endpoints: Sequence[str], name: str) -> None:
        self.store = EtcdStore(endpoints, TIMINGS)
        self.mirror = Mirror(self.store, "/s/", TIMINGS)
        self.election = Election(self.store, self.mirror, key=KEY, node=name, name=name, timings=TIMINGS)


@asynccontextmanager
async def node(endpoints: Sequence[str], name: str) -> AsyncIterator[Node]:
    """Run one candidate."""
    it = Node(endpoints, name)
    tasks = {asyncio.create_task(it.mirror.run()), asyncio.create_task(it.election.run())}
    try:
        yield it
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await it.store.close()


async def test_a_leader_whose_lease_is_gone_is_refused(three: EtcdCluster) -> None:
    """The late write is refused by etcd itself, the deposed leader steps down, and another epoch begins."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(node(three.endpoints, "a"))
        await asyncio.wait_for(first.election.changed(0), 5)
        second = await stack.enter_async_context(node(three.endpoints, "b"))
        await eventually(lambda: second.election.why == "another node leads")
        old = first.election.leadership
        assert old is not None
        await first.store.commit([old.fence()], [Put("/s/x", b"in time")])
        three.etcdctl("lease", "revoke", f"{(await second.store.snapshot(KEY)).entries[KEY].lease_id:x}")
        with pytest.raises(Refused):
            await first.store.commit([old.fence()], [Put("/s/x", b"late")])
        await eventually(lambda: first.election.leadership is not old)
        await eventually(lambda: first.election.leadership or second.election.leadership)
        new = first.election.leadership or second.election.leadership
        assert new is not None
        assert new.epoch > old.epoch


async def test_resigning_hands_over_within_milliseconds(three: EtcdCluster) -> None:
    """The lease is revoked first, so that nobody waits for it to run out."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(node(three.endpoints, "a"))
        await asyncio.wait_for(first.election.changed(0), 5)
        second = await stack.enter_async_context(node(three.endpoints, "b"))
        await eventually(lambda: second.election.why == "another node leads")
        began = time.monotonic()
        await first.election.resign()
        await asyncio.wait_for(second.election.changed(0), 2)
        assert time.monotonic() - began < 0.5


async def test_a_leader_that_dies_is_replaced_when_its_lease_ran_out(three: EtcdCluster) -> None:
    """Without a farewell it takes the lease's time to live and a little more."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(node(three.endpoints, "a"))
        await asyncio.wait_for(first.election.changed(0), 5)
        second = await stack.enter_async_context(node(three.endpoints, "b"))
        await eventually(lambda: second.election.why == "another node leads")
        await first.store.close()  # nothing more is heard of it
        await eventually(lambda: second.election.leadership, within=TIMINGS.lease_ttl + 2)
        await eventually(lambda: first.election.leadership is None, within=TIMINGS.lease_ttl)


async def test_no_epoch_has_two_leaders_while_members_die(three: EtcdCluster) -> None:
    """Whoever writes with a fence is the only one ever to do so in that epoch, whatever happens to etcd."""
    writers: dict[int, set[str]] = {}
    both = False

    async def write(it: Node, name: str) -> None:
        while True:
            leadership = it.election.leadership
            if leadership is None:
                await it.election.changed(it.election.version)
                continue
            with contextlib.suppress(Refused, Unavailable):
                await it.store.commit([leadership.fence()], [Put(f"/w/{leadership.epoch}", name.encode())])
                writers.setdefault(leadership.epoch, set()).add(name)
            await asyncio.wait({asyncio.ensure_future(it.election.changed(it.election.version))}, timeout=0.05)

    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(node(three.endpoints, name)) for name in "ab"]
        writing = [asyncio.create_task(write(it, name)) for it, name in zip(nodes, "ab", strict=True)]

        def leading() -> bool:
            nonlocal both
            held = [it.election.leadership is not None for it in nodes]
            both = both or all(held)
            return any(held)

        await eventually(leading)
        for number in range(2):
            member = three.leader()
            member.stop(grace=0)
            # the term may survive the member or not; either way somebody leads before long
            await eventually(leading, within=10)
            if number == 0:
                leader = next(it for it in nodes if it.election.leadership)
                await leader.election.resign()
                await eventually(leading, within=10)
            member.start()
            await member.ready()
        await eventually(leading, within=10)
        for task in writing:
            task.cancel()
    assert not both
    assert writers
    assert all(len(names) == 1 for names in writers.values())
