"""What every implementation of the store must do: the suite that the fake and real etcd both pass.

A test class inherits `StoreContract` and provides the fixtures `store` and `other` (two clients of one store) and
`compact` (forget the history).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from typing import TYPE_CHECKING

import pytest

from cluster.store import (
    MOST_PARTS,
    Absent,
    Changes,
    Compacted,
    CreatedAt,
    Delete,
    Event,
    LeaseLost,
    ModifiedAt,
    Put,
    Refused,
    Store,
    StoreError,
    Unavailable,
)
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_numbers = itertools.count()


async def read_changes(store: Store, prefix: str, after: int, count: int) -> list[Changes]:
    """Return the first changes of a watch that together have `count` events."""
    found: list[Changes] = []
    async with asyncio.timeout(10), contextlib.aclosing(store.watch(prefix, after)) as changes:
        async for each in changes:
            found.append(each)
            if len(events_of(found)) >= count:
                break
    return found


def events_of(changes: list[Changes]) -> list[Event]:
    """Return the events in order; how many transactions come together in one change is up to the store."""
    return [event for each in changes for event in each.events]


class StoreContract:
    """The contract; every test works under a prefix of its own."""

    @pytest.fixture
    def prefix(self) -> str:
        """Return a prefix that nobody else uses."""
        return f"/contract/{os.getpid()}-{next(_numbers)}/"

    async def test_an_empty_prefix_has_an_empty_view(self, store: Store, prefix: str) -> None:
        """A snapshot of nothing is empty and still has a revision."""
        view = await store.snapshot(prefix)
        assert (dict(view.entries), view.revision > 0) == ({}, True)

    async def test_a_snapshot_holds_everything_under_its_prefix_in_order(self, store: Store, prefix: str) -> None:
        """A snapshot shows each key once, in order, and no neighbour whose name begins alike."""
        neighbour = prefix.rstrip("/") + "0"
        await store.commit([], [Put(prefix + "b", b"2"), Put(prefix + "a", b"1"), Put(neighbour, b"3")])
        view = await store.snapshot(prefix)
        assert [(key, entry.key, entry.value) for key, entry in view.entries.items()] == [
            (prefix + "a", prefix + "a", b"1"),
            (prefix + "b", prefix + "b", b"2"),
        ]

    async def test_a_snapshot_can_leave_a_prefix_out(self, store: Store, prefix: str) -> None:
        """What is left out is missing from the middle, and nothing else; the revision is that of the store."""
        names = ["a", "records", "records/1", "records/~x/2", "records0", "z"]
        revision = await store.commit([], [Put(prefix + name, b"x") for name in names])
        view = await store.snapshot(prefix, prefix + "records/")
        assert [key.removeprefix(prefix) for key in view.entries] == ["a", "records", "records0", "z"]
        assert view.revision >= revision

    async def test_a_page_is_a_part_of_a_range(self, store: Store, prefix: str) -> None:
        """A page begins at its start, ends before its end, and stops at its limit."""
        await store.commit([], [Put(prefix + name, name.encode()) for name in "abcde"])
        page = await store.page(prefix + "b", prefix + "e", 2)
        assert [(entry.key, entry.value) for entry in page] == [(prefix + "b", b"b"), (prefix + "c", b"c")]
        assert [entry.value for entry in await store.page(prefix + "b", prefix + "e", 9)] == [b"b", b"c", b"d"]
        assert await store.page(prefix + "f", prefix + "z", 2) == ()

    async def test_keys_are_read_in_the_order_asked_for(self, store: Store, prefix: str) -> None:
        """Each key asked for has its place in the answer, whether it exists or not."""
        revision = await store.commit([], [Put(prefix + name, name.encode()) for name in "abc"])
        found = await store.read([prefix + name for name in "cxa"])
        assert [entry and (entry.value, entry.mod_revision) for entry in found] == [
            (b"c", revision),
            None,
            (b"a", revision),
        ]

    async def test_parts_are_counted_and_begin_with_their_first_key(self, store: Store, prefix: str) -> None:
        """Each part reaches from its bound to before the next; an empty one has no first key."""
        await store.commit([], [Put(prefix + name, b"x") for name in "abcdf"])
        parts = await store.parts([prefix + name for name in "adefz"])
        assert [(part.count, part.first) for part in parts] == [
            (3, prefix + "a"),
            (1, prefix + "d"),
            (0, None),
            (1, prefix + "f"),
        ]

    async def test_a_call_has_at_most_so_many_parts(self, store: Store, prefix: str) -> None:
        """As many parts as are allowed are answered, and one more is refused."""
        keys = [f"{prefix}{number:03d}" for number in range(MOST_PARTS + 2)]
        await store.commit([], [Put(key, b"x") for key in keys[:MOST_PARTS]])
        assert sum(entry is not None for entry in await store.read(keys[:MOST_PARTS])) == MOST_PARTS
        assert sum(part.count for part in await store.parts(keys[: MOST_PARTS + 1])) == MOST_PARTS
        with pytest.raises(StoreError):
            await store.read(keys[: MOST_PARTS + 1])
        with pytest.raises(StoreError):
            await store.parts(keys)

    async def test_another_client_reads_what_was_committed(self, store: Store, other: Store, prefix: str) -> None:
        """A commit is visible to everybody as soon as it has returned, at the revision it returned."""
        revision = await store.commit([], [Put(prefix + "a", b"\x00\xff")])
        entry = (await other.snapshot(prefix)).entries[prefix + "a"]
        assert (entry.value, entry.create_revision, entry.mod_revision) == (b"\x00\xff", revision, revision)

    async def test_writing_again_keeps_the_create_revision(self, store: Store, prefix: str) -> None:
        """A key keeps its create-revision until it is deleted."""
        first = await store.commit([], [Put(prefix + "a", b"1")])
        second = await store.commit([], [Put(prefix + "a", b"2")])
        entry = (await store.snapshot(prefix)).entries[prefix + "a"]
        assert (entry.create_revision, entry.mod_revision) == (first, second)
        await store.commit([], [Delete(prefix + "a")])
        third = await store.commit([], [Put(prefix + "a", b"3")])
        assert (await store.snapshot(prefix)).entries[prefix + "a"].create_revision == third

    async def test_an_absent_condition_refuses_a_key_that_exists(self, store: Store, prefix: str) -> None:
        """A refused commit says what stands in its way, and writes nothing at all."""
        key, free = prefix + "a", prefix + "b"
        revision = await store.commit([Absent(key)], [Put(key, b"first")])
        with pytest.raises(Refused) as refusal:
            await store.commit([Absent(key), Absent(free)], [Put(key, b"second"), Put(free, b"x")])
        current = refusal.value.current
        assert (current[key].value, current[key].mod_revision, current[free]) == (b"first", revision, None)
        assert refusal.value.revision >= revision
        assert {entry.value for entry in (await store.snapshot(prefix)).entries.values()} == {b"first"}

    async def test_a_created_condition_holds_until_the_key_is_created_anew(self, store: Store, prefix: str) -> None:
        """Writing a key does not break a condition on its create-revision; deleting it does."""
        key = prefix + "a"
        revision = await store.commit([], [Put(key, b"1")])
        await store.commit([CreatedAt(key, revision)], [Put(key, b"2")])
        await store.commit([], [Delete(key)])
        with pytest.raises(Refused):
            await store.commit([CreatedAt(key, revision)], [Put(key, b"3")])
        await store.commit([], [Put(key, b"4")])
        with pytest.raises(Refused):
            await store.commit([CreatedAt(key, revision)], [Put(key, b"5")])

    async def test_a_modified_condition_holds_until_the_next_write(self, store: Store, prefix: str) -> None:
        """Of two writers that read the same revision, one wins."""
        key = prefix + "a"
        revision = await store.commit([], [Put(key, b"0")])
        results = await asyncio.gather(
            *(store.commit([ModifiedAt(key, revision)], [Put(key, text)]) for text in (b"1", b"2", b"3")),
            return_exceptions=True,
        )
        assert sorted(type(result).__name__ for result in results) == ["Refused", "Refused", "int"]

    async def test_deleting_what_is_not_there_is_no_error(self, store: Store, prefix: str) -> None:
        """A delete says what shall be, not what was."""
        await store.commit([], [Delete(prefix + "a")])

    async def test_a_transaction_writes_a_key_only_once(self, store: Store, prefix: str) -> None:
        """Two writes of one key in a transaction are a mistake of the caller."""
        with pytest.raises(StoreError):
            await store.commit([], [Put(prefix + "a", b"1"), Put(prefix + "a", b"2")])

    async def test_a_watch_yields_what_came_after_its_revision(self, store: Store, other: Store, prefix: str) -> None:
        """A watch begins right after the given revision, even when that is in the past, and keeps to its prefix."""
        first = await store.commit([], [Put(prefix + "a", b"1")])
        second = await store.commit([], [Put(prefix + "b", b"2")])
        await store.commit([], [Put(prefix.rstrip("/") + "0", b"x")])
        third = await store.commit([], [Delete(prefix + "a")])
        changes = await read_changes(other, prefix, first, 2)
        written, deleted = events_of(changes)
        assert (written.key, written.entry.value, written.entry.mod_revision) == (prefix + "b", b"2", second)
        assert (deleted.key, deleted.entry, changes[-1].revision) == (prefix + "a", None, third)

    async def test_a_watch_yields_what_happens_while_it_waits(self, store: Store, other: Store, prefix: str) -> None:
        """A change reaches a waiting watch, whoever wrote it."""
        before = (await store.snapshot(prefix)).revision
        reading = asyncio.create_task(read_changes(store, prefix, before, 3))
        revisions = [await other.commit([], [Put(prefix + "a", b"%d" % number)]) for number in range(3)]
        assert [event.entry.mod_revision for event in events_of(await reading)] == revisions

    async def test_a_transaction_arrives_as_one_change(self, store: Store, prefix: str) -> None:
        """Nobody sees half of a transaction."""
        before = (await store.snapshot(prefix)).revision
        revision = await store.commit([], [Put(prefix + name, b"x") for name in "abc"])
        (changes,) = await read_changes(store, prefix, before, 1)
        assert (changes.revision, sorted(event.key[-1] for event in changes.events)) == (revision, ["a", "b", "c"])

    async def test_a_watch_of_forgotten_history_says_so(
        self, store: Store, prefix: str, compact: Callable[[], Awaitable[None]]
    ) -> None:
        """A watch never silently leaves out what was compacted."""
        first = await store.commit([], [Put(prefix + "a", b"1")])
        for number in range(3):
            await store.commit([], [Put(prefix + "a", b"%d" % number)])
        await compact()
        with pytest.raises(Compacted):
            await read_changes(store, prefix, first, 1)

    async def test_a_key_goes_with_its_lease(self, store: Store, other: Store, prefix: str) -> None:
        """Revoking a lease deletes its keys, which watchers see."""
        lease = await store.grant(5)
        revision = await store.commit([], [Put(prefix + "a", b"1", lease.lease_id)])
        assert (await other.snapshot(prefix)).entries[prefix + "a"].lease_id == lease.lease_id
        await store.revoke(lease.lease_id)
        assert not (await other.snapshot(prefix)).entries
        (changes,) = await read_changes(other, prefix, revision, 1)
        assert [(event.key, event.entry) for event in changes.events] == [(prefix + "a", None)]

    async def test_a_key_written_without_its_lease_stays(self, store: Store, prefix: str) -> None:
        """The last write decides which lease holds a key."""
        lease = await store.grant(5)
        await store.commit([], [Put(prefix + "a", b"1", lease.lease_id)])
        await store.commit([], [Put(prefix + "a", b"2")])
        await store.revoke(lease.lease_id)
        assert (await store.snapshot(prefix)).entries[prefix + "a"].lease_id == 0

    async def test_a_lease_runs_out_by_itself(self, store: Store, prefix: str) -> None:
        """A key under a lease that nobody renews disappears."""
        lease = await store.grant(1)
        assert lease.ttl >= 1
        await store.commit([], [Put(prefix + "a", b"1", lease.lease_id)])

        async def gone() -> bool:
            return not (await store.snapshot(prefix)).entries

        await eventually(gone, within=6)
        with pytest.raises(LeaseLost):
            await store.keep_alive(lease.lease_id)

    async def test_a_renewal_returns_the_time_to_live(self, store: Store) -> None:
        """Renewing starts the lease over."""
        lease = await store.grant(4)
        assert await store.keep_alive(lease.lease_id) == lease.ttl

    async def test_an_unknown_lease_is_lost(self, store: Store, prefix: str) -> None:
        """A lease that is gone can hold nothing and cannot be renewed; revoking it again is no error."""
        lease = await store.grant(4)
        await store.revoke(lease.lease_id)
        await store.revoke(lease.lease_id)
        with pytest.raises(LeaseLost):
            await store.keep_alive(lease.lease_id)
        with pytest.raises(LeaseLost):
            await store.commit([], [Put(prefix + "a", b"1", lease.lease_id)])
        assert not (await store.snapshot(prefix)).entries

    async def test_a_probe_returns_the_revision(self, store: Store, prefix: str) -> None:
        """A probe asks for the revision of the whole store."""
        revision = await store.commit([], [Put(prefix + "a", b"1")])
        assert await store.probe(prefix, 0.01) >= revision

    async def test_the_store_knows_how_many_vote(self, store: Store) -> None:
        """There is at least one member."""
        assert await store.voters() >= 1

    async def test_a_closed_client_is_unavailable(self, store: Store, prefix: str) -> None:
        """A closed client says so instead of waiting."""
        await store.close()
        with pytest.raises(Unavailable):
            await store.snapshot(prefix)
