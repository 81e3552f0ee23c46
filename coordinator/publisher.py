"""The leader's task: as long as this node leads, turn every change of the facts into one fenced publication."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from msgspec.structs import replace

from cluster.election import Leadership
from cluster.keys import Keys
from cluster.record_batches import behind_the_end, clear_staging, next_moves
from cluster.store import LeaseLost, Refused, Store, StoreError, Unavailable
from cluster.waking import after_others, first_of
from coordinator.clock import boot_clock
from coordinator.cycle import Office, Plan, as_read, plan
from coordinator.deadlines import Deadlines
from coordinator.facts import Facts
from coordinator.founding import Founding
from coordinator.outlook import Outlook
from coordinator.published import Leader, Snapshot
from coordinator.restored_store import (
    HEAR_WITHIN,
    Refuse,
    StandAside,
    Verdict,
    WriteBack,
    all_heard,
    judge,
    notices_of,
    write_back,
)
from coordinator.restoring import on_its_way, plan_move, plan_restore
from coordinator.snapshot import Memory
from licensing.keyring import Keyring
from licensing.value import Time

log = logging.getLogger(__name__)

PAUSE_AFTER_REFUSAL = 0.2
PAUSE_AFTER_FAILURE = 5.0
SEEN_WITHIN = 2.0
BURST = 5
"""Publications without a rest; after as many it pauses between them: a storm of changes is no storm of writes."""


MOVES_AT_ONCE = 25
"""Batches of a restored history that are moved between two decisions."""
OLDER_LEDGER = "older ledger"
"""Whose wish it is that this node stands aside."""
NEWER_VALUES = "newer values"
"""Whose wish that is where this version cannot read what is stored: the other node may be newer."""


class OutcomeLease:
    """The lease under which outcomes are kept: long enough to be asked for, and then gone by itself."""

    TTL = 600

    def __init__(self, store: Store, boot: Callable[[], float] = boot_clock) -> None:
        self._store = store
        self._boot = boot
        self._lease_id = 0
        self._renew_at = 0.0

    async def current(self) -> int:
        """Return a lease that has at least half of its life before it."""
        if self._boot() >= self._renew_at:
            self._lease_id = (await self._store.grant(self.TTL)).lease_id
            self._renew_at = self._boot() + self.TTL / 2
        return self._lease_id

    def forget(self) -> None:
        """Take a new lease next time: the store lost the old one."""
        self._renew_at = 0.0


class Publisher:
    """Plans and commits while the election says that this node leads; the plan is pure, the fence is etcd's.

    `hear_within`: seconds for which other nodes are heard before this one's ledger takes the place of an older one.
    """

    def __init__(
        self,
        outlook: Outlook,
        store: Store,
        keys: Keys,
        me: Leader,
        founding: Founding,
        keyring: Keyring,
        memory: Memory,
        *,
        hear_within: float = HEAR_WITHIN,
        boot: Callable[[], float] = boot_clock,
    ) -> None:
        self._outlook = outlook
        self._mirror = outlook.mirror
        self._election = outlook.election
        self._store = store
        self._keys = keys
        self._me = me
        self._founding = founding
        self._keyring = keyring
        self._memory = memory
        self._hear_within = hear_within
        self._boot = boot
        self._older_since: float | None = None
        self._tidy_in = 0
        self._outcomes = OutcomeLease(store, boot)
        self._index = _index_in(memory.newest)
        self._burst = 0
        self._deadlines = Deadlines()

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            news = self._mirror.pulse.mark(), self._election.pulse.mark(), self._outlook.clocks.moved.mark()
            pause = await self._turn()
            if self._burst > BURST:
                await asyncio.sleep(PAUSE_AFTER_REFUSAL)
            await first_of(*news, timeout=pause)
            if self._election.leadership is None:
                await after_others()  # here news are to be told, and there is nothing to decide

    async def _turn(self) -> float | None:
        """Decide and publish once; return after how many seconds to look again with nothing happening."""
        if not self._mirror.connected:
            self._older_since = None
            return None
        try:
            waiting = self._election.leadership and self._mirror.view.under(self._keys.inboxes)
            lease = await self._outcomes.current() if waiting else 0
            return await self._publish(self._look(), lease)
        except Exception as error:  # noqa: BLE001 - a leader that cannot decide must go on holding what was published
            return self._pause_after(error)

    def _pause_after(self, error: Exception) -> float:
        """Say what went wrong, and return after how many seconds to try again."""
        match error:
            case LeaseLost():
                self._outcomes.forget()
                return PAUSE_AFTER_REFUSAL
            case Refused():
                log.info("publication refused", extra={"why": str(error)})
                return PAUSE_AFTER_REFUSAL
            case Unavailable():
                log.warning("publication failed", extra={"why": str(error)})
                return PAUSE_AFTER_REFUSAL
            case StoreError():  # such as a full disk or a missing permission: it will not be gone in a moment
                log.error("publication failed", extra={"why": str(error)})
                return PAUSE_AFTER_FAILURE
            case _:
                log.error("decision failed", exc_info=error)
                return PAUSE_AFTER_FAILURE

    def _look(self) -> Facts:
        """Read the facts, and remember of them what a leader has to know even if the store should lose it."""
        facts = self._outlook.look()
        self._index = max(self._index, facts.published.index if facts.published else 0)
        self._memory.take(facts)
        if facts.site is not None:
            self._founding.keep(facts.site)
        return facts

    async def _publish(self, facts: Facts, lease: int) -> float | None:
        verdict = judge(facts, self._memory.newest, self._me.management_node_uuid)
        self._make_way(facts, verdict)
        hears_for = self._hears_for(facts, verdict)
        leadership = self._election.leadership
        stuck = isinstance(verdict, StandAside | Refuse) and not facts.restores
        if leadership is None or facts.blocking or stuck:
            self._burst = 0
            return None  # the board tells what blocks; deciding without what cannot be read would forget it
        if (facts.orders or facts.restores) and not lease:
            return 0.0  # an order came in while we looked: look again, with a lease for its outcome
        waits = max(hears_for, PAUSE_AFTER_REFUSAL if self._outlook.clocks.in_doubt else 0.0)
        if waits > 0:
            return waits  # it is about to be known what others have seen, or how late it is
        now = self._outlook.clock.now()
        index = max(self._index, facts.clock.index if facts.clock else 0)
        facts = replace(facts, views=self._deadlines.apply(facts.views, leadership.epoch, index, now))
        planned = self._plan(facts, verdict, self._office(facts, leadership, now, lease), now)
        if verdict is None and not self._only_tells(planned) and await self._tidied(facts, leadership):
            return 0.0
        if not planned.writes:
            self._burst = 0
            moved = await self._move_history(facts, leadership, now)
            return 0.0 if moved else (planned.again_at - now).total_seconds()
        self._burst += 1
        await self._commit(planned, leadership)
        return 0.0

    async def _commit(self, planned: Plan, leadership: Leadership) -> None:
        """Write what is planned, if this node still leads and what was read still holds, and wait to see it."""
        revision = await self._store.commit((leadership.fence(), *planned.conditions), planned.writes)
        for change in planned.changes:
            log.info("decided", extra={"subject": change.subject, "what": change.sentence})
        await self._see(revision)
        await after_others()  # so that it is told before it is looked what is next

    def _make_way(self, facts: Facts, verdict: Verdict) -> None:
        """Let the other node lead as long as it knows of a newer ledger than this one, or can read more."""
        if set(facts.blocking) & set(facts.newer):
            self._election.stand_aside("a newer version stored what this one cannot read", of=NEWER_VALUES)
        else:
            self._election.stand_up(of=NEWER_VALUES)
        if isinstance(verdict, StandAside):
            self._election.stand_aside(verdict.why, of=OLDER_LEDGER)
        else:
            self._election.stand_up(of=OLDER_LEDGER)

    def _hears_for(self, facts: Facts, verdict: Verdict) -> float:
        """Seconds for which others are yet to be heard: one of them may have seen a newer ledger than this node has."""
        if not isinstance(verdict, WriteBack):
            self._older_since = None
            return 0.0
        if self._older_since is None:
            self._older_since = self._boot()
        node = self._me.management_node_uuid
        return 0.0 if all_heard(facts, verdict.snapshot, node) else self._older_since + self._hear_within - self._boot()

    def _plan(self, facts: Facts, verdict: Verdict, office: Office, now: Time) -> Plan:
        view, newest = self._mirror.view, self._memory.newest
        if isinstance(verdict, WriteBack):
            return write_back(verdict.snapshot, facts, view, office, now)
        if facts.restores:  # before all orders, which build on it
            return plan_restore(facts.restores[0], facts, view, office, newest, now)
        founding = self._founding.plan(facts, view, now, newest.site if newest else None)
        return founding or plan(facts, view, office, now, self._outlook.policy)

    def _only_tells(self, planned: Plan) -> bool:
        """Whether this tells the site's state and changes none of it, as the first thing that a new leader writes."""
        keys = {write.key for write in planned.writes}
        return bool(keys) and keys <= {self._keys.status, self._keys.clock}

    async def _tidied(self, facts: Facts, leadership: Leadership) -> bool:
        """Whether records behind those that the ledger knows of were looked for; so until a term has seen none.

        Those that are found are deleted: nobody writes any there, but what somebody left must not be taken for a part
        of the history when that grows.
        """
        if self._tidy_in == leadership.epoch or facts.ledger is None or not facts.ledger.record_count:
            return False
        gone = await behind_the_end(self._store, self._keys, facts.ledger.record_count)
        if not gone:
            self._tidy_in = leadership.epoch
            return True
        log.warning("records behind the end of the history deleted", extra={"keys": [write.key for write in gone]})
        still = as_read(self._mirror.view, self._keys.ledger)
        await self._store.commit((leadership.fence(), *still), gone)
        return True

    async def _move_history(self, facts: Facts, leadership: Leadership, now: Time) -> bool:
        """Put a part of a restored history in its place, where nothing else is to be done; whether there was any."""
        for step in range(MOVES_AT_ONCE):
            way = on_its_way(facts.ledger) if facts.ledger is not None else None
            if way is None or way.staged is None:
                return step > 0
            moves, after = await next_moves(self._store, self._keys, way.staged, way.end)
            if after.first == way.end:  # whatever else is staged is of restores that came to nothing
                await clear_staging(self._store, self._keys, but=after.area)
            office = self._office(facts, leadership, now, 0)
            await self._commit(plan_move(moves, after, facts, self._mirror.view, office, now), leadership)
            facts = self._look()
        return True

    def _office(self, facts: Facts, leadership: Leadership, now: Time, outcome_lease: int) -> Office:
        return Office(
            keys=self._keys,
            leader=self._me,
            epoch=leadership.epoch,
            index=self._index,
            keyring=self._keyring,
            outcome_lease=outcome_lease,
            notices=(
                *(notices_of(facts.ledger, now) if facts.ledger else ()),
                *self._outlook.clocks.notices,
                *self._memory.notices,
                *facts.roles.notices,
            ),
        )

    async def _see(self, revision: int) -> None:
        """Wait until the mirror shows what was just written, so that the next plan builds on it.

        A store that was restored meanwhile may never show it; then the next plan's conditions tell.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SEEN_WITHIN):
                while self._mirror.connected and self._mirror.view.revision < revision:
                    await self._mirror.changed(self._mirror.version)


def _index_in(newest: Snapshot | None) -> int:
    """Return the highest index that a node remembers."""
    if newest is None:
        return 0
    return max(newest.published.index if newest.published else 0, newest.clock.index if newest.clock else 0)
