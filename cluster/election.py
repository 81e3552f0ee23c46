"""Who leads: the task that follows the rule in `cluster.election_step`.

The leader key is created under a lease; the revision that created it is the epoch. Who holds the key leads until it is
gone, and believes so no longer than its lease is trusted. What this does not promise: that a deposed leader stops in
the middle of a statement. So every write of a leader carries `Leadership.fence()`, and etcd refuses the late ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster.election_step import Action, Aside, Campaign, Observation, Own, StepDown, Wait, step
from cluster.lease import LeaseKeeper, boottime
from cluster.pulse import Mark, Pulse
from cluster.store import Absent, CreatedAt, LeaseLost, Put, Refused, StoreError, Unavailable
from cluster.values import BadValue, encode_value, read_message
from cluster.waking import first_of
from licensing.value import Name, Value

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster.mirror import Mirror
    from cluster.store import Entry, Store
    from cluster.timings import Timings

    Clock = Callable[[], float]

log = logging.getLogger(__name__)

_PAUSE = 0.1
_RESERVE_AFTER = 2
"""Lives of a lease without a leader, after which a candidate that stands aside leads all the same."""


class Candidate(Value, frozen=True):
    """What stands under the leader key."""

    node: Name
    name: str


def read_candidate(entry: Entry) -> Candidate:
    """Return who stands under the leader key.

    Raises:
        BadValue: it cannot be read, or no lease holds it, so that it says nothing about who is there.
    """
    if not entry.lease_id:
        raise BadValue(entry.key, "was written without a lease and would stay for ever: delete it")
    return read_message(entry.key, entry.value, Candidate)


@dataclass(frozen=True, slots=True, eq=False)
class Leadership:
    """One term of leading: `epoch` is the revision that created the leader key."""

    key: str
    epoch: int
    _lease: LeaseKeeper

    @property
    def trusted_until(self) -> float:
        """The time, on the lease's clock, until which nobody else can lead."""
        return self._lease.trusted_until

    @property
    def trusted(self) -> bool:
        """Whether nobody else can lead yet."""
        return self._lease.trusted

    def fence(self) -> CreatedAt:
        """Return the condition that every write of this leader carries."""
        return CreatedAt(self.key, self.epoch)


class Election:
    """One candidate; `mirror` must show the leader key and be run by the caller.

    `node` and `name` are what others read in the leader key. A candidate that waits holds a lease ready, as etcd's own
    recipe has it: to take over is then one write. It can stand aside, for as many reasons as there are: it steps down
    at once and does not campaign, unless nobody leads for twice the life of a lease.
    """

    def __init__(
        self,
        store: Store,
        mirror: Mirror,
        *,
        key: str,
        node: str,
        name: str,
        timings: Timings,
        clock: Clock = boottime,
    ) -> None:
        self._store = store
        self._mirror = mirror
        self._key = key
        self._value = encode_value(Candidate(node=node, name=name))
        self._timings = timings
        self._clock = clock
        self._own: Leadership | None = None
        self._lease: LeaseKeeper | None = None
        self._resigned = False
        self._reasons: dict[str, str] = {}
        self._as_reserve = False
        self._own_seen = False
        self._vacant_since: float | None = None
        self._wishes = Pulse()
        self._pulse = Pulse()
        self._running = asyncio.Lock()
        self.why = "not started"

    @property
    def leadership(self) -> Leadership | None:
        """Our own term while we lead and our lease is trusted, else None; judged anew at every look."""
        return self._own if self._own is not None and self._own.trusted else None

    @property
    def leader(self) -> Candidate | None:
        """Who leads as far as the mirror shows; None where nobody does or the key cannot be read."""
        entry = self._mirror.view.entries.get(self._key)
        try:
            return read_candidate(entry) if entry else None
        except BadValue:
            return None

    @property
    def term(self) -> int | None:
        """The epoch of whoever leads as far as the mirror shows; None where nobody does."""
        entry = self._mirror.view.entries.get(self._key)
        return entry.create_revision if entry and entry.lease_id else None

    @property
    def pulse(self) -> Pulse:
        """Beats whenever `version` grows."""
        return self._pulse

    @property
    def version(self) -> int:
        """A number that grows whenever our leadership begins or ends."""
        return self._pulse.count

    async def changed(self, seen: int) -> int:
        """Return the version as soon as it is more than `seen`."""
        return await self._pulse.after(seen)

    @property
    def aside(self) -> str:
        """Why this candidate stands aside; empty while it does not."""
        return "; ".join(self._reasons.values())

    def stand_aside(self, why: str, *, of: str = "") -> None:
        """Leave leading to another node, and step down at once; `of` names whose wish it is.

        Each of those who wish it has one reason, and takes it back for itself alone. The same reason again changes
        nothing: who leads because nobody else did goes on.
        """
        if self._reasons.get(of) != why:
            self._reasons[of] = why
            self._as_reserve = False
            self._wishes.beat()

    def stand_up(self, *, of: str = "") -> None:
        """Take a wish back; without any other, lead again when there is no leader."""
        if self._reasons.pop(of, None) is not None:
            self._wishes.beat()

    async def run(self) -> None:
        """Campaign and lead until `resign` is called or this is cancelled; the lease is revoked at the end."""
        async with self._running:
            try:
                while not self._resigned:
                    news = self._mirror.pulse.mark(), self._wishes.mark()
                    pause = await self._act(step(self._observe(), self._state(), self._clock(), self._aside()))
                    lost = [Mark(self._lease.lost, 0)] if self._lease else []
                    await first_of(*news, *lost, timeout=pause)
            finally:
                await self._step_down("resigned")

    async def resign(self) -> None:
        """Give up leadership for good, revoking the lease so that another node can lead at once."""
        self._resigned = True
        self._wishes.beat()
        await self._step_down("resigned")
        async with self._running:
            return

    def _observe(self) -> Observation:
        view = self._mirror.view
        leader = view.entries.get(self._key)
        if self._own is not None and leader is not None and leader.create_revision == self._own.epoch:
            self._own_seen = True
        if leader is not None or not self._mirror.connected:
            self._vacant_since = None
        elif self._vacant_since is None:
            self._vacant_since = self._clock()
        return Observation(self._mirror.connected, view.revision, leader)

    def _state(self) -> Own | None:
        own = self._own
        return Own(own.epoch, own.trusted_until, self._as_reserve, was_seen=self._own_seen) if own else None

    def _aside(self) -> Aside | None:
        """Return whether and why we stand aside, and when we would be needed by what was observed last."""
        if not self._reasons:
            return None
        vacant_since = float("inf") if self._vacant_since is None else self._vacant_since
        return Aside(self.aside, vacant_since + _RESERVE_AFTER * self._timings.lease_ttl)

    async def _act(self, action: Action) -> float | None:
        """Do it; return after how many seconds to look again even if nothing changes."""
        match action:
            case Campaign():
                return await self._campaign()
            case StepDown(why):
                await self._step_down((self._lease and self._lease.why) or why)
                return 0.0
            case Wait(why, ready):
                if why != self.why:
                    self.why = why
                    log.info("waiting: %s", why)
                if not await self._wait_with_lease(ready=ready):
                    return self._timings.renew
        return self._until_next_step()

    async def _wait_with_lease(self, *, ready: bool) -> bool:
        """Let go of a lease that was lost, and hold one where we are to be `ready`; whether that is so."""
        try:
            if ready:
                await self._held()
            elif self._lease is not None and not self._lease.trusted:
                await self._let_go()
        except StoreError as error:
            log.info("no lease is held ready: %s", error)
            return False
        return True

    def _until_next_step(self) -> float | None:
        """Return the seconds until time alone changes what we do: our lease ends, or nobody has led for long."""
        if self._own is not None:
            return max(0.0, self._own.trusted_until - self._clock())
        aside = self._aside()
        if aside is None or self._vacant_since is None:
            return None
        return max(0.0, aside.needed_from - self._clock())

    async def _campaign(self) -> float | None:
        """Try once; return after how many seconds to look again: None for one that was won."""
        as_reserve, wishes, pause = bool(self._reasons), self._wishes.count, self._timings.renew
        was_ready = self._lease is not None
        try:
            epoch = await self._claim(await self._held())
        except StoreError as error:
            log.info("no campaign: %s", error)
            epoch, pause = None, 0.0 if was_ready and isinstance(error, LeaseLost) else pause
        if epoch is None or self._resigned or self._lease is None:
            await self._step_down("lost the campaign")
            return pause
        self._own, self._own_seen = Leadership(self._key, epoch, self._lease), False
        self._as_reserve = as_reserve and wishes == self._wishes.count
        self.why = "leading"
        log.warning("leading in epoch %d", epoch)
        self._pulse.beat()
        return None

    async def _held(self) -> LeaseKeeper:
        """Return the lease that we hold, or a new one where we hold none that is trusted."""
        if self._lease is None or not self._lease.trusted:
            await self._let_go()
            self._lease = await LeaseKeeper.start(self._store, self._timings.lease_ttl, self._timings, self._clock)
        return self._lease

    async def _claim(self, lease: LeaseKeeper) -> int | None:
        """Return our epoch when the leader key is ours."""
        try:
            return await self._store.commit([Absent(self._key)], [Put(self._key, self._value, lease.lease_id)])
        except Refused:
            return None
        except Unavailable:
            return await self._look_whether_ours(lease)

    async def _look_whether_ours(self, lease: LeaseKeeper) -> int | None:
        """Read the leader key after a campaign whose answer got lost.

        A write that arrives even later does no harm: the lease is revoked, and the key goes with it.
        """
        while lease.trusted:
            with contextlib.suppress(Unavailable):
                view = await self._store.snapshot(self._key)
                entry = view.entries.get(self._key)
                return entry.create_revision if entry and entry.lease_id == lease.lease_id else None
            await asyncio.sleep(_PAUSE)
        return None

    async def _step_down(self, why: str) -> None:
        own, self._own = self._own, None
        if own is not None:
            self.why = why
            log.warning("no longer leading (epoch %d): %s", own.epoch, why)
            self._pulse.beat()
        await self._let_go()

    async def _let_go(self) -> None:
        """Revoke the lease that we hold, if any; who is cancelled meanwhile still holds it, and can do it again."""
        lease = self._lease
        if lease is not None:
            await lease.close()
            if self._lease is lease:  # and not one that was taken meanwhile
                self._lease = None
