"""The fake store keeps the contract, and its faults are those of a real one."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from cluster.memory import MemoryCluster, MemoryStore
from cluster.store import CreatedAt, ModifiedAt, Put, Unavailable
from tests.store_contract import StoreContract, read_changes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class TestMemoryStore(StoreContract):
    """The contract, kept in memory."""

    @pytest.fixture
    def cluster(self) -> MemoryCluster:
        """Return an empty store."""
        return MemoryCluster()

    @pytest.fixture
    def store(self, cluster: MemoryCluster) -> MemoryStore:
        """Return a client."""
        return cluster.client()

    @pytest.fixture
    def other(self, cluster: MemoryCluster) -> MemoryStore:
        """Return a second client."""
        return cluster.client()

    @pytest.fixture
    def compact(self, cluster: MemoryCluster) -> Callable[[], Awaitable[None]]:
        """Return a way to forget the history."""

        async def forget() -> None:
            cluster.compact()

        return forget


async def test_a_client_that_is_cut_off_misses_nothing() -> None:
    """A watch waits while its client is offline and goes on where it was."""
    cluster = MemoryCluster()
    away, writer = cluster.client(), cluster.client()
    away.offline()
    reading = asyncio.create_task(read_changes(away, "/", 1, 2))
    await writer.commit([], [Put("/a", b"1")])
    with pytest.raises(Unavailable):
        await away.snapshot("/")
    assert not reading.done()
    away.online()
    await writer.commit([], [Put("/b", b"2")])
    assert [event.key for each in await reading for event in each.events] == ["/a", "/b"]


async def test_a_commit_whose_answer_got_lost_was_applied() -> None:
    """The fake can play the ambiguous commit."""
    store = MemoryCluster().client()
    store.lose_next_answer()
    with contextlib.suppress(Unavailable):
        await store.commit([], [Put("/a", b"1")])
    assert (await store.snapshot("/")).entries["/a"].value == b"1"


async def test_leases_run_by_the_clock_that_was_passed_in() -> None:
    """With a clock of its own a test decides when a lease is over."""
    now = 100.0
    cluster = MemoryCluster(clock=lambda: now)
    store = cluster.client()
    lease = await store.grant(5)
    await store.commit([], [Put("/a", b"1", lease.lease_id)])
    now += 4.9
    assert (await store.snapshot("/")).entries
    now += 0.2
    assert not (await store.snapshot("/")).entries


async def test_a_probe_notices_at_once_that_the_store_is_gone() -> None:
    """The fake does not make tests wait for the silence to be over."""
    cluster = MemoryCluster()
    store = cluster.client()
    await store.snapshot("/")
    probing = asyncio.create_task(store.probe("/", 60))
    await asyncio.wait({probing}, timeout=0)
    cluster.offline()
    with pytest.raises(Unavailable):
        await asyncio.wait_for(probing, 2)


@pytest.mark.parametrize("condition", [CreatedAt, ModifiedAt])
def test_a_condition_on_revision_zero_is_refused(condition: type[CreatedAt | ModifiedAt]) -> None:
    """Revision 0 is how etcd writes that a key does not exist: whoever means that says Absent."""
    with pytest.raises(ValueError, match="say Absent"):
        condition("/k", 0)
