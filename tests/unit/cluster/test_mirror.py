"""The mirror shows what is stored, and knows whether it does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from cluster.memory import MemoryCluster
from cluster.mirror import Mirror
from cluster.store import Delete, Put
from cluster.timings import Timings
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def cluster() -> MemoryCluster:
    """Return an empty store."""
    return MemoryCluster()


@pytest.fixture
async def mirror(cluster: MemoryCluster) -> AsyncIterator[Mirror]:
    """Return a mirror of /s/ that runs and is connected."""
    mirror = Mirror(cluster.client(), "/s/", Timings(probe=0.05))
    running = asyncio.create_task(mirror.run())
    await eventually(lambda: mirror.connected)
    yield mirror
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()


def values(mirror: Mirror) -> dict[str, bytes]:
    """Return keys and values that the mirror shows."""
    return {key: entry.value for key, entry in mirror.view.entries.items()}


async def test_a_mirror_follows_its_prefix(cluster: MemoryCluster, mirror: Mirror) -> None:
    """Writes and deletes show, in order of key, and other prefixes do not."""
    writer = cluster.client()
    await writer.commit([], [Put("/s/b", b"2"), Put("/t/x", b"x")])
    await writer.commit([], [Put("/s/a", b"1")])
    await eventually(lambda: list(values(mirror).items()) == [("/s/a", b"1"), ("/s/b", b"2")])
    revision = await writer.commit([], [Delete("/s/b"), Put("/s/c", b"3")])
    await eventually(lambda: values(mirror) == {"/s/a": b"1", "/s/c": b"3"})
    assert mirror.view.revision == revision


async def test_several_tasks_can_wait_for_a_change(cluster: MemoryCluster, mirror: Mirror) -> None:
    """Every waiter is told, and one that was busy is told at once."""
    seen = mirror.version
    waiting = [asyncio.create_task(mirror.changed(seen)) for _ in range(3)]
    await cluster.client().commit([], [Put("/s/a", b"1")])
    assert await asyncio.wait_for(asyncio.gather(*waiting), 2) == [seen + 1] * 3
    assert await asyncio.wait_for(mirror.changed(seen), 2) == seen + 1


async def test_an_outage_keeps_the_last_view(cluster: MemoryCluster, mirror: Mirror) -> None:
    """Out of reach, the mirror says so and since when, and still shows what it knew."""
    await cluster.client().commit([], [Put("/s/a", b"1")])
    await eventually(lambda: values(mirror))
    since = mirror.since
    cluster.offline()
    await eventually(lambda: not mirror.connected)
    assert (values(mirror), mirror.since > since, bool(mirror.problem)) == ({"/s/a": b"1"}, True, True)


async def test_everything_is_read_again_after_an_outage(cluster: MemoryCluster, mirror: Mirror) -> None:
    """What changed meanwhile shows, and what did not change is still the same object."""
    writer = cluster.client()
    await writer.commit([], [Put("/s/a", b"1"), Put("/s/b", b"1")])
    await eventually(lambda: len(values(mirror)) == 2)
    kept = mirror.view.entries["/s/a"]
    cluster.offline()
    await eventually(lambda: not mirror.connected)
    cluster.online()
    await writer.commit([], [Put("/s/b", b"2"), Put("/s/c", b"3")])
    cluster.compact()
    await eventually(lambda: mirror.connected and values(mirror) == {"/s/a": b"1", "/s/b": b"2", "/s/c": b"3"})
    assert mirror.view.entries["/s/a"] is kept


async def test_a_compaction_is_not_an_outage(cluster: MemoryCluster, mirror: Mirror) -> None:
    """History that is gone is replaced by a snapshot; the mirror stays connected."""
    since = mirror.since
    cluster.offline()  # for less than the mirror needs to notice: no await in between
    cluster.down = False
    cluster.apply([Put("/s/a", b"1")])
    cluster.apply([Put("/s/a", b"2")])
    cluster.compact()
    await eventually(lambda: values(mirror) == {"/s/a": b"2"})
    assert (mirror.connected, mirror.since) == (True, since)


async def test_a_store_that_went_back_in_time_is_read_again(cluster: MemoryCluster, mirror: Mirror) -> None:
    """A restored copy has lower revisions, which no watch would ever show."""
    writer = cluster.client()
    await writer.commit([], [Put("/s/a", b"old")])
    await eventually(lambda: values(mirror))
    for number in range(5):
        await writer.commit([], [Put("/s/a", b"%d" % number)])
    await eventually(lambda: values(mirror) == {"/s/a": b"4"})
    cluster.revision, cluster.history = 2, []
    cluster.entries.clear()
    await eventually(lambda: not values(mirror))
    assert mirror.connected


async def test_a_store_that_went_back_and_caught_up_is_read_again(cluster: MemoryCluster) -> None:
    """Where the watch was interrupted, revisions that are as high as before do not say that nothing is missing."""
    store = cluster.client()
    mirror = Mirror(store, "/s/", Timings(probe=60))
    running = asyncio.create_task(mirror.run())
    await eventually(lambda: mirror.connected)
    cluster.apply([Put("/s/a", b"old")])
    await eventually(lambda: values(mirror))
    cluster.entries.clear()
    cluster.history.clear()
    cluster.apply([Put("/s/b", b"new")])  # while the watch looks elsewhere
    cluster.history.clear()
    store.interrupt()
    await eventually(lambda: values(mirror) == {"/s/b": b"new"})
    assert mirror.connected
    running.cancel()
    await asyncio.wait({running})


async def test_a_mirror_can_start_before_the_store() -> None:
    """It is not connected, says why, and connects when it can."""
    cluster = MemoryCluster()
    cluster.offline()
    mirror = Mirror(cluster.client(), "/s/", Timings(probe=0.05))
    running = asyncio.create_task(mirror.run())
    await eventually(lambda: "switched off" in mirror.problem)
    assert not mirror.connected
    cluster.online()
    await eventually(lambda: mirror.connected)
    running.cancel()
    await asyncio.wait({running})


async def test_a_mirror_can_leave_a_prefix_out(cluster: MemoryCluster) -> None:
    """What is left out is neither read at the start nor followed, alone or in a transaction with other keys."""
    writer = cluster.client()
    await writer.commit([], [Put("/s/a", b"1"), Put("/s/records/1", b"x")])
    mirror = Mirror(cluster.client(), "/s/", Timings(probe=0.05), without="/s/records/")
    running = asyncio.create_task(mirror.run())
    await eventually(lambda: mirror.connected)
    assert values(mirror) == {"/s/a": b"1"}
    seen = mirror.version
    await writer.commit([], [Put("/s/records/2", b"x")])
    await writer.commit([], [Put("/s/b", b"2"), Put("/s/records/3", b"x"), Delete("/s/records/1")])
    await eventually(lambda: values(mirror) == {"/s/a": b"1", "/s/b": b"2"})
    assert mirror.version == seen + 1
    running.cancel()
    await asyncio.wait({running})
