"""The shared store in memory: a fake with etcd's semantics, for tests without etcd.

It keeps the contract of `cluster.store`, for several clients of one `MemoryCluster`, and can be cut off, slowed to a
stop in the middle of a commit, compacted and sent back in time, as an etcd can.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from cluster.pulse import Pulse
from cluster.store import (
    MOST_PARTS,
    Absent,
    Changes,
    Compacted,
    CreatedAt,
    Delete,
    Entry,
    Event,
    Lease,
    LeaseLost,
    Part,
    Put,
    Refused,
    StoreError,
    Unavailable,
    View,
)
from cluster.timings import SMALLEST_LEASE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from cluster.store import Condition, Write

Clock = Callable[[], float]


class MemoryCluster:
    """What all its clients share.

    Leases run out by `clock`: by themselves with the default one, at the next call or `tick` with another.
    """

    def __init__(self, clock: Clock = time.monotonic, members: int = 3) -> None:
        self.clock = clock
        self.members = members
        self.revision = 1
        self.compacted = 0
        self.entries: dict[str, Entry] = {}
        self.history: list[Changes] = []
        self.moved = Pulse()
        self._leases: dict[int, tuple[int, float]] = {}
        self._ids = itertools.count(1000)
        self.down = False

    def client(self) -> MemoryStore:
        """Return a new client."""
        return MemoryStore(self)

    def offline(self) -> None:
        """Let nobody reach the store; leases run on."""
        self.down = True
        self.moved.beat()

    def online(self) -> None:
        """Let everybody reach the store again."""
        self.down = False
        self.tick()
        self.moved.beat()

    def compact(self) -> None:
        """Forget the history."""
        self.compacted = self.revision
        self.history.clear()

    def tick(self) -> None:
        """End the leases whose time is over; every call does it too."""
        over = [lease for lease, (_, end) in self._leases.items() if end <= self.clock()]
        for lease in over:
            self.end_lease(lease)

    def apply(self, writes: Sequence[Write]) -> int:
        """Apply the writes as one revision."""
        if len({write.key for write in writes}) < len(writes):
            raise StoreError("a transaction may write a key only once")
        for write in writes:
            if isinstance(write, Put) and write.lease_id and write.lease_id not in self._leases:
                raise LeaseLost(f"lease {write.lease_id} is unknown")
        revision = self.revision + 1
        events = tuple(event for write in writes if (event := self._event(write, revision)))
        if events:
            self.revision = revision
            self.history.append(Changes(revision, events))
            self.moved.beat()
        return self.revision

    def _event(self, write: Write, revision: int) -> Event | None:
        old = self.entries.get(write.key)
        if isinstance(write, Delete):
            return Event(write.key, None) if self.entries.pop(write.key, None) else None
        created = old.create_revision if old else revision
        entry = Entry(write.key, write.value, created, revision, write.lease_id)
        self.entries[write.key] = entry
        return Event(write.key, entry)

    def new_lease(self, ttl: int) -> Lease:
        """Grant a lease."""
        lease = Lease(next(self._ids), max(ttl, SMALLEST_LEASE))
        self._start(lease.lease_id, lease.ttl)
        return lease

    def renew_lease(self, lease_id: int) -> int:
        """Start the lease over and return its time to live."""
        if lease_id not in self._leases:
            raise LeaseLost(f"lease {lease_id} is unknown")
        ttl, _ = self._leases[lease_id]
        self._start(lease_id, ttl)
        return ttl

    def _start(self, lease_id: int, ttl: int) -> None:
        self._leases[lease_id] = (ttl, self.clock() + ttl)
        if self.clock is time.monotonic:
            asyncio.get_running_loop().call_later(ttl, self.tick)

    def end_lease(self, lease_id: int) -> None:
        """End a lease together with the keys it holds."""
        self._leases.pop(lease_id, None)
        held = [entry.key for entry in self.entries.values() if entry.lease_id == lease_id]
        if held:
            self.apply([Delete(key) for key in held])


def _limit(parts: int) -> None:
    if parts > MOST_PARTS:
        raise StoreError(f"{parts} parts in one call; {MOST_PARTS} are allowed")


class MemoryStore:
    """One client; `offline` cuts this one off alone."""

    def __init__(self, cluster: MemoryCluster) -> None:
        self.cluster = cluster
        self._cut = False
        self._closed = False
        self._lose_answer = False
        self._interruptions = 0
        self._answered = float("-inf")

    def offline(self) -> None:
        """Cut this client off from the store."""
        self._cut = True
        self.cluster.moved.beat()

    def online(self) -> None:
        """Let this client reach the store again."""
        self._cut = False
        self.cluster.moved.beat()

    def interrupt(self) -> None:
        """Let this client's watches break and go on, as when a member is restarted."""
        self._interruptions += 1
        self.cluster.moved.beat()

    def lose_next_answer(self) -> None:
        """Let the next commit be applied and its answer get lost."""
        self._lose_answer = True

    async def snapshot(self, prefix: str, without: str = "") -> View:
        """See the port."""
        self._reach()
        left_out = (without,) if without else ()
        entries = {
            key: entry
            for key, entry in sorted(self.cluster.entries.items())
            if key.startswith(prefix) and not key.startswith(left_out)
        }
        return View(self.cluster.revision, MappingProxyType(entries))

    async def page(self, start: str, end: str, limit: int) -> tuple[Entry, ...]:
        """See the port."""
        self._reach()
        found = sorted(key for key in self.cluster.entries if start <= key < end)
        return tuple(self.cluster.entries[key] for key in found[:limit])

    async def read(self, keys: Sequence[str]) -> tuple[Entry | None, ...]:
        """See the port."""
        self._reach()
        _limit(len(keys))
        return tuple(map(self.cluster.entries.get, keys))

    async def parts(self, bounds: Sequence[str]) -> tuple[Part, ...]:
        """See the port."""
        self._reach()
        _limit(len(bounds) - 1)
        keys = sorted(self.cluster.entries)
        places = [bisect.bisect_left(keys, bound) for bound in bounds]
        return tuple(
            Part(end - start, keys[start] if start < end else None) for start, end in itertools.pairwise(places)
        )

    async def watch(self, prefix: str, after: int) -> AsyncGenerator[Changes, None]:
        """See the port."""
        interruptions = self._interruptions
        while True:
            seen = self.cluster.moved.count
            if not self._unreachable:
                if interruptions < self._interruptions:
                    interruptions = self._interruptions
                    yield Changes(after, ())
                if after + 1 < self.cluster.compacted:
                    raise Compacted(self.cluster.compacted)
                for changes in [each for each in self.cluster.history if each.revision > after]:
                    after = changes.revision
                    if events := tuple(each for each in changes.events if each.key.startswith(prefix)):
                        yield replace(changes, events=events)
            await self.cluster.moved.after(seen)

    async def probe(self, key: str, silence: float) -> int:  # noqa: ARG002 - every key can be read here
        """See the port; a fault is noticed at once."""
        while not self._unreachable and (left := self._answered + silence - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self.cluster.moved.after(self.cluster.moved.count)
        self._reach()
        return self.cluster.revision

    async def commit(self, conditions: Sequence[Condition], writes: Sequence[Write]) -> int:
        """See the port."""
        self._reach()
        if not all(self._holds(condition) for condition in conditions):
            current = {condition.key: self.cluster.entries.get(condition.key) for condition in conditions}
            raise Refused(current, self.cluster.revision)
        revision = self.cluster.apply(writes)
        if self._lose_answer:
            self._lose_answer = False
            raise Unavailable("the answer got lost")
        return revision

    async def grant(self, ttl: int) -> Lease:
        """See the port."""
        self._reach()
        return self.cluster.new_lease(ttl)

    async def keep_alive(self, lease_id: int) -> int:
        """See the port."""
        self._reach()
        return self.cluster.renew_lease(lease_id)

    async def revoke(self, lease_id: int) -> None:
        """See the port."""
        self._reach()
        self.cluster.end_lease(lease_id)

    async def voters(self) -> int:
        """See the port."""
        self._reach()
        return self.cluster.members

    async def close(self) -> None:
        """See the port."""
        self._closed = True

    @property
    def _unreachable(self) -> bool:
        return self._cut or self._closed or self.cluster.down

    def _reach(self) -> None:
        if self._unreachable:
            raise Unavailable("the store in memory is switched off")
        self.cluster.tick()
        self._answered = time.monotonic()

    def _holds(self, condition: Condition) -> bool:
        entry = self.cluster.entries.get(condition.key)
        match condition:
            case Absent():
                return entry is None
            case CreatedAt():
                return entry is not None and entry.create_revision == condition.revision
            case _:
                return entry is not None and entry.mod_revision == condition.revision
