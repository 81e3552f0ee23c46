"""Waiting for agents to read their keys again: whose word counts, and for which request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from cluster.memory import MemoryCluster
from cluster.mirror import Mirror
from cluster.report import Reread
from cluster.store import Put, Unavailable
from cluster.values import decode_value, encode_value
from coordinator import rereading
from coordinator.rereading import reread
from tests.unit.coordinator.running import QUICK
from tests.unit.coordinator.stored import KEYS, A, B, report
from tests.waiting import eventually


class Store:
    """A store in memory, with agents that are the test's own hands."""

    def __init__(self) -> None:
        self.cluster = MemoryCluster()
        self.client = self.cluster.client()
        self.mirror = Mirror(self.client, KEYS.prefix, QUICK)

    def asked(self, node: str) -> str:
        """Return the id of the request that a node has; KeyError for none."""
        entry = self.cluster.entries[KEYS.reread(node)]
        return decode_value(entry.key, entry.value, Reread).id

    def tell(self, node: str, done: str) -> None:
        """Let a node report that it did a request."""
        self.cluster.apply([Put(KEYS.node(node), encode_value(report(node, reread=done)))])

    @asynccontextmanager
    async def asking(self, *nodes: str) -> AsyncIterator[asyncio.Task[None]]:
        """Ask these nodes, and wait until each has its request."""
        mirroring = asyncio.create_task(self.mirror.run())
        asking = asyncio.create_task(reread(self.client, self.mirror, KEYS, nodes))
        try:
            await eventually(lambda: [self.asked(node) for node in nodes])
            yield asking
        finally:
            for task in (asking, mirroring):
                task.cancel()
            await asyncio.gather(asking, mirroring, return_exceptions=True)


async def test_every_node_that_was_asked_must_have_done_it() -> None:
    """One of two is not enough, and neither is a report of an earlier request."""
    store = Store()
    store.tell(B, "earlier")
    async with store.asking(A, B) as asking:
        store.tell(A, store.asked(A))
        await eventually(lambda: KEYS.node(A) in store.mirror.view.entries)
        assert not asking.done()
        store.tell(B, store.asked(B))
        async with asyncio.timeout(2):
            await asking


async def test_a_later_request_answers_an_earlier_one() -> None:
    """A request that was replaced is done when the one in its place is: the keys were read after both."""
    store = Store()
    async with store.asking(A) as asking:
        store.cluster.apply([Put(KEYS.reread(A), encode_value(Reread("later")))])
        store.tell(A, "later")
        async with asyncio.timeout(2):
            await asking


async def test_a_node_that_does_nothing_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait has an end, also when the node's report cannot be read."""
    monkeypatch.setattr(rereading, "PATIENCE", 0.05)
    store = Store()
    store.cluster.apply([Put(KEYS.node(A), b"\xff")])
    async with store.asking(A) as asking:
        with pytest.raises(TimeoutError):
            await asking


async def test_without_the_store_nobody_is_asked() -> None:
    """The store's own refusal comes through."""
    store = Store()
    store.cluster.offline()
    with pytest.raises(Unavailable):
        await reread(store.client, store.mirror, KEYS, (A,))
