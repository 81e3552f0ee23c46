"""Coordinators that run in the test's own loop, on a store in memory, with clocks set by hand and quick timings."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cluster.election import Election
from cluster.memory import MemoryCluster, MemoryStore
from cluster.mirror import Mirror
from cluster.report import ReportedKey
from cluster.store import Condition, Put, Write
from cluster.timings import Timings
from cluster.values import BadValue, decode_value, encode_value
from coordinator.answering import Answering
from coordinator.board import Board, StatusBody
from coordinator.clock import EffectiveClock
from coordinator.clocks import Clocks
from coordinator.drain import StandingAside
from coordinator.facts import FactReader
from coordinator.founding import Founding
from coordinator.metrics import Metrics
from coordinator.outlook import Outlook
from coordinator.published import Clock, Leader, Published
from coordinator.publisher import Publisher
from coordinator.snapshot import Memory
from licensing.ledger import KeyState
from licensing.policy import Policy
from licensing.value import Time
from tests.unit.coordinator.stored import KEYS, NOW, POLICY, SECOND, A, B, stored_report
from tests.unit.licensing.signing import KEYRING
from tests.waiting import eventually

QUICK = Timings(lease_ttl=2, renew=0.1, margin=0.1, attempt=0.1, call_deadline=0.2, probe=0.1)


def running_wall(at: Time = NOW) -> Callable[[], Time]:
    """Return a wall clock that shows `at` now and runs."""
    began = time.monotonic()
    return lambda: at + int((time.monotonic() - began) * 1000) * SECOND / 1000


class Counting(MemoryStore):
    """A client of the store in memory that keeps what was committed; tests may step between."""

    def __init__(self, cluster: MemoryCluster) -> None:
        super().__init__(cluster)
        self.attempts: list[frozenset[str]] = []

    async def commit(self, conditions: Sequence[Condition], writes: Sequence[Write]) -> int:
        """Note which keys are written, and commit."""
        self.attempts.append(frozenset(write.key for write in writes))
        return await super().commit(conditions, writes)

    async def probe(self, key: str, silence: float) -> int:
        """Probe at a steady pace, in a way that can be cancelled at any moment.

        `asyncio.wait_for`, which the store in memory uses, may swallow a cancellation up to Python 3.11.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(silence):
                while not self._unreachable:
                    await self.cluster.moved.after(self.cluster.moved.count)
        return (await self.snapshot(key)).revision

    @property
    def publications(self) -> int:
        """How often a publication was tried."""
        return sum(KEYS.status in keys for keys in self.attempts)


class Coordinator:
    """One node's coordinator without its HTTP."""

    def __init__(
        self,
        store: MemoryStore,
        folder: Path,
        node: str = A,
        *,
        clock: EffectiveClock | None = None,
        policy: Policy = POLICY,
        hear_within: float = 0.1,
    ) -> None:
        me = Leader(node, f"Node {node[-1].upper()}")
        self.store = store
        self.mirror = Mirror(store, KEYS.prefix, QUICK)
        self.election = Election(store, self.mirror, key=KEYS.leader, node=node, name=me.name, timings=QUICK)
        self.clock = clock or EffectiveClock(lambda: NOW, lambda: 0.0)
        self.board = Board(time.monotonic)
        self.metrics = Metrics(self.board, lambda: self.mirror.connected, self.clock)
        self.clocks = Clocks(self.clock, node, me.name, 2)
        self.memory = Memory(KEYS, KEYRING, folder / node)
        reader = FactReader(KEYS, KEYRING)
        outlook = Outlook(self.mirror, self.election, reader, self.clocks, policy, self.memory.kept)
        self.answering = Answering(outlook, self.board, self.metrics, self.memory, node)
        self.standing_aside = StandingAside(outlook, node)
        founding = Founding(KEYS, (A, B), folder / node)
        self.publisher = Publisher(outlook, store, KEYS, me, founding, KEYRING, self.memory, hear_within=hear_within)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[Coordinator]:
        """Run it meanwhile; at the end it gives up its lease, as on SIGTERM."""
        # the mirror comes last: with a real store nothing is read yet when the others look for the first time
        parts = (self.standing_aside, self.answering, self.publisher, self.memory, self.election, self.mirror)
        tasks = [asyncio.create_task(part.run()) for part in parts]
        try:
            yield self
            assert not [task for task in tasks if task.done()], "a task ended by itself"
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def status(self) -> StatusBody:
        """What it answers just now; LookupError when nothing."""
        if self.board.answer is None:
            raise LookupError("no answer yet")
        return self.board.answer.status

    @property
    def leads(self) -> bool:
        """Whether it leads."""
        return self.election.leadership is not None


class Site:
    """The store of one site, with reports that tests write into it."""

    def __init__(self) -> None:
        self.cluster = MemoryCluster()
        self._agents = self.cluster.client()
        self._leases: dict[str, int] = {}

    def client(self) -> Counting:
        """Return a new client of the store."""
        return Counting(self.cluster)

    async def report(self, node: str, *keys: ReportedKey, **changes: Any) -> None:
        """Let a node's agent report these keys."""
        if node not in self._leases:
            self._leases[node] = (await self._agents.grant(3600)).lease_id
        value = stored_report(node, *keys, **changes)
        writes = [Put(KEYS.node(node), value, self._leases[node]), Put(KEYS.last_seen(node), value)]
        await self._agents.commit([], writes)

    async def silence(self, node: str) -> None:
        """Let a node's agent die."""
        await self._agents.revoke(self._leases.pop(node))

    def put(self, key: str, value: bytes) -> None:
        """Write anything, as somebody else would."""
        self.cluster.apply([Put(key, value)])

    @property
    def published(self) -> Published:
        """The published answer; LookupError when there is none, or none that can be read."""
        try:
            return decode_value(KEYS.status, self.cluster.entries[KEYS.status].value, Published)
        except BadValue as bad:
            raise LookupError(str(bad)) from bad

    def history(self) -> list[Published]:
        """Every answer that was ever published, in order."""
        events = [event for changes in self.cluster.history for event in changes.events]
        return [
            decode_value(KEYS.status, event.entry.value, Published)
            for event in events
            if event.key == KEYS.status and event.entry is not None
        ]

    def mark(self, at: Time, index: int) -> None:
        """Write the high-water mark of time."""
        self.put(KEYS.clock, encode_value(Clock(at, index)))


async def ready(coordinator: Coordinator, state: KeyState = KeyState.READY) -> None:
    """Wait until a coordinator shows a fresh answer with this key state."""
    await eventually(lambda: coordinator.status.key_state is state and not coordinator.status.stale)
