"""Requests to read the keys again: each is done once, and the report tells it together with what was found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent.rereading import Rereading
from agent.sight import Facts, Sight
from cluster.keys import Keys
from cluster.memory import MemoryCluster
from cluster.mirror import Mirror
from cluster.report import Reread
from cluster.store import Put
from cluster.timings import Timings
from cluster.values import encode_value
from licensing.seen import Reading
from tests.newer import extended
from tests.waiting import eventually
from usbwatch.bus import KeySet, Seen

KEY = Keys("site-1").reread("node-a")
BEFORE, AFTER = Seen(key_id="K1", reading=Reading.PENDING), Seen(key_id="K1", reading=Reading.OK)


class FakeBus:
    """A bus whose key reads well only once it was read again."""

    def __init__(self) -> None:
        self.keys: KeySet = (BEFORE,)
        self.abandoned = 0
        self.rereads = 0

    async def watch(self) -> AsyncIterator[KeySet]:
        """Yield the current set, and no other."""
        yield self.keys
        await asyncio.Event().wait()

    async def reread(self) -> None:
        """Read again."""
        self.rereads += 1
        self.keys = (AFTER,)

    async def prove_again(self) -> None:
        """Nothing to prove."""

    async def close(self) -> None:
        """Nothing to close."""


class Node:
    """An agent's part that does requests, on a store in memory."""

    def __init__(self) -> None:
        self.cluster = MemoryCluster()
        self.bus, self.sight = FakeBus(), Sight()
        self.sight.see_keys(self.bus.keys)
        self.sight.see_vip(held=False)
        self.mirror = Mirror(self.cluster.client(), KEY, Timings())
        self.rereading = Rereading(self.mirror, KEY, self.bus, self.sight)

    def ask(self, value: bytes) -> None:
        """Write a request."""
        self.cluster.apply([Put(KEY, value)])

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let it run meanwhile."""
        tasks = [asyncio.create_task(self.mirror.run()), asyncio.create_task(self.rereading.run())]
        try:
            yield
            assert not [task for task in tasks if task.done()], "a task ended by itself"
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_request_and_what_was_found_are_told_together() -> None:
    """No report has the request's id and the keys of before."""
    node = Node()
    async with node.running():
        assert node.sight.facts == Facts((BEFORE,), vip=False)
        node.ask(encode_value(Reread("one")))
        await node.sight.changed.after(node.sight.changed.count)
        assert node.sight.facts == Facts((AFTER,), vip=False, reread="one")


async def test_a_request_is_done_once() -> None:
    """The same request written again is not done again; another one is."""
    node = Node()
    node.ask(encode_value(Reread("one")))
    async with node.running():
        await eventually(lambda: node.bus.rereads == 1)
        node.ask(encode_value(Reread("one")))
        node.ask(encode_value(Reread("two")))
        await eventually(lambda: node.sight.facts and node.sight.facts.reread == "two")
    assert node.bus.rereads == 2


async def test_a_request_of_a_newer_version_is_done() -> None:
    """What else it says is of no concern to an agent that does not know it."""
    node = Node()
    node.ask(extended(encode_value(Reread("one"))))
    async with node.running():
        await eventually(lambda: node.sight.facts and node.sight.facts.reread == "one")


async def test_a_value_that_is_no_request_is_left_alone() -> None:
    """What cannot be read does nothing, and the next request is done."""
    node = Node()
    node.ask(b"\xff")
    async with node.running():
        await eventually(lambda: node.mirror.view.entries)
        node.ask(encode_value(Reread("one")))
        await eventually(lambda: node.bus.rereads == 1)
