"""Members of a real etcd freeze, die and come back; the adapter goes on and leaves nothing out."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cluster.etcd import EtcdStore
from cluster.lease import LeaseKeeper
from cluster.mirror import Mirror
from cluster.store import Put, Unavailable
from cluster.timings import Timings
from tests.etcd_server import EtcdCluster, EtcdServer
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

TIMINGS = Timings()
KEY = "/s/a"


@asynccontextmanager
async def mirroring(endpoints: Sequence[str], timings: Timings = TIMINGS) -> AsyncIterator[tuple[EtcdStore, Mirror]]:
    """Run a mirror of /s/ on a client of its own."""
    store = EtcdStore(endpoints, timings)
    mirror = Mirror(store, "/s/", timings)
    running = asyncio.create_task(mirror.run())
    try:
        await eventually(lambda: mirror.connected)
        yield store, mirror
    finally:
        running.cancel()
        await asyncio.wait({running})
        await store.close()


@pytest.fixture
async def writer(three: EtcdCluster) -> AsyncIterator[EtcdStore]:
    """Return a client that prefers the last member, which the tests leave alone."""
    store = EtcdStore(three.endpoints[::-1], TIMINGS)
    yield store
    await store.close()


async def put(store: EtcdStore, value: bytes) -> None:
    """Write the key, again if need be."""

    async def written() -> bool:
        with contextlib.suppress(Unavailable):
            return bool(await store.commit([], [Put(KEY, value)]))
        return False

    await eventually(written, within=10)


def shown(mirror: Mirror) -> bytes:
    """Return what the mirror shows of the key."""
    entry = mirror.view.entries.get(KEY)
    return entry.value if entry else b""


def threads() -> int:
    """Return how many threads this process has."""
    return len(list(Path("/proc/self/task").iterdir()))


@pytest.mark.parametrize("fault", ["pause", "kill"])
async def test_a_member_that_fails_takes_nothing_with_it(three: EtcdCluster, writer: EtcdStore, fault: str) -> None:
    """The member we talk to freezes or dies: lease, mirror and writes go on with another."""
    async with mirroring(three.endpoints) as (store, mirror):
        await put(writer, b"before")
        await eventually(lambda: shown(mirror) == b"before")
        lease = await LeaseKeeper.start(store, TIMINGS.lease_ttl, TIMINGS)
        trusted = lease.trusted_until
        first = three.members[0]
        if fault == "pause":
            first.pause()
        else:
            first.stop(grace=0)
        await put(writer, b"meanwhile")
        await eventually(lambda: shown(mirror) == b"meanwhile", within=5)
        await eventually(lambda: lease.trusted_until > trusted + 2, within=5)
        assert (lease.trusted, mirror.connected) == (True, True)
        await store.commit([], [Put("/s/b", b"x")])
        await lease.close()


async def test_a_member_that_was_given_up_loses_its_watches(three: EtcdCluster) -> None:
    """A call that failed takes the watches with it at once, long before gRPC would notice that they are mute."""
    leader = three.leader()
    followers = [member for member in three.members if member is not leader]
    endpoints = [member.endpoint for member in (followers[0], leader)]
    writer = EtcdStore([leader.endpoint], TIMINGS)
    async with mirroring(endpoints) as (store, mirror):
        await put(writer, b"before")
        await eventually(lambda: shown(mirror) == b"before")
        followers[0].pause()
        store._members.fail(store._members.current(), "a call failed")
        await put(writer, b"meanwhile")
        await eventually(lambda: shown(mirror) == b"meanwhile", within=1.0)
    await writer.close()


async def test_a_member_without_a_majority_is_no_connection(three: EtcdCluster, writer: EtcdStore) -> None:
    """The one member that answers knows nothing for certain: the mirror says so until the others are back."""
    async with mirroring(three.endpoints) as (_, mirror):
        await put(writer, b"before")
        await eventually(lambda: shown(mirror) == b"before")
        for member in three.members[1:]:
            member.pause()
        began = time.monotonic()
        await eventually(lambda: not mirror.connected, within=5)
        assert mirror.since - began < 3.0
        assert shown(mirror) == b"before"
        three.resume()
        await eventually(lambda: mirror.connected, within=8)


async def test_an_outage_costs_nothing_and_ends_with_a_full_read(three: EtcdCluster, writer: EtcdStore) -> None:
    """While all members are down there is no busy loop and no new thread; back again, everything is read anew."""
    async with mirroring(three.endpoints) as (_, mirror):
        await put(writer, b"1")
        await eventually(lambda: shown(mirror) == b"1")
        before = threads()
        three.stop()
        began, used = time.monotonic(), time.process_time()
        await eventually(lambda: not mirror.connected, within=5)
        assert mirror.since - began < 3.0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                await mirror.changed(mirror.version)
        assert not mirror.connected
        assert time.process_time() - used < 0.25 * (time.monotonic() - began)
        assert threads() <= before
        await three.start()
        await eventually(lambda: mirror.connected, within=8)
        await put(writer, b"2")
        await eventually(lambda: shown(mirror) == b"2")
        assert threads() <= before


async def test_history_compacted_while_away_is_read_anew(three: EtcdCluster, writer: EtcdStore) -> None:
    """A mirror whose only member was down while the others wrote and compacted shows the newest all the same."""
    async with mirroring(three.endpoints[:1]) as (_, mirror):
        three.members[0].stop(grace=0)
        for number in range(5):
            await put(writer, b"%d" % number)
        revision = (await writer.snapshot("/s/")).revision
        three.etcdctl("compact", str(revision))
        await three.start()
        await eventually(lambda: mirror.connected and shown(mirror) == b"4", within=8)


async def test_an_old_copy_that_has_caught_up_is_read_anew(tmp_path: Path) -> None:
    """A restored etcd whose revisions are as high again as before is noticed all the same, by the broken watch."""
    server = EtcdServer(tmp_path)
    await server.start()
    (member,) = server.members
    writer = EtcdStore(server.endpoints, TIMINGS)
    await put(writer, b"before")
    member.stop()
    shutil.copytree(member.data_dir, tmp_path / "copy")
    await server.start()
    async with mirroring(server.endpoints, Timings(probe=60)) as (_, mirror):
        await put(writer, b"lost")
        await eventually(lambda: shown(mirror) == b"lost")
        server.stop()
        shutil.rmtree(member.data_dir)
        shutil.copytree(tmp_path / "copy", member.data_dir)
        await server.start()
        for number in range(5):
            await writer.commit([], [Put("/other", b"%d" % number)])
        await eventually(lambda: shown(mirror) == b"before")
        assert mirror.connected
    await writer.close()
    server.stop()


async def test_a_watch_leaves_nothing_out_while_members_die_in_turn(three: EtcdCluster) -> None:
    """Every write that was made is seen exactly once and in order, whichever member is down."""
    watched, writer = EtcdStore(three.endpoints, TIMINGS), EtcdStore(three.endpoints[1:], TIMINGS)
    seen: list[tuple[int, bytes]] = []
    stop = asyncio.Event()

    async def read() -> None:
        async with contextlib.aclosing(watched.watch("/s/", 0)) as changes:
            async for each in changes:
                seen.extend((event.entry.mod_revision, event.entry.value) for event in each.events if event.entry)

    async def write() -> int:
        number = 0
        while not stop.is_set():
            number += 1
            with contextlib.suppress(Unavailable):
                await writer.commit([], [Put(KEY, b"%d" % number)])
        return number

    reading, writing = asyncio.create_task(read()), asyncio.create_task(write())

    async def twenty_more() -> None:
        reached = len(seen) + 20
        await eventually(lambda: len(seen) > reached, within=10)

    for member in three.members:
        await twenty_more()
        member.stop(grace=0)
        await twenty_more()
        member.start()
        await member.ready()
    stop.set()
    await writing
    last = (await writer.snapshot(KEY)).entries[KEY]
    await eventually(lambda: seen[-1] == (last.mod_revision, last.value))
    reading.cancel()
    assert [revision for revision, _ in seen] == list(range(2, last.mod_revision + 1))
    assert len({value for _, value in seen}) == len(seen)
    await watched.close()
    await writer.close()


async def test_nothing_is_written_while_nothing_changes(three: EtcdCluster) -> None:
    """A mirror that idles writes nothing to etcd, and etcd hears from it about once a second."""
    async with mirroring(three.endpoints) as (store, mirror):
        revision = (await store.snapshot("/s/")).revision
        used = time.process_time()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2.5):
                await mirror.changed(mirror.version)
        assert (await store.snapshot("/s/")).revision == revision
        assert time.process_time() - used < 0.3
