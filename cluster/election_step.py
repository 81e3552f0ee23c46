"""The rule of the election as one pure function: what a candidate does next, given what it sees and what it is.

No clock, no store, no tasks; `cluster.election` follows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cluster.store import Entry


@dataclass(frozen=True, slots=True)
class Observation:
    """What the mirror shows: is it up to date, as of which revision, and the leader key."""

    connected: bool
    revision: int
    leader: Entry | None


@dataclass(frozen=True, slots=True)
class Own:
    """Our own leadership: its epoch and the time until which its lease is trusted.

    `as_reserve`: we were elected although we stand aside, because nobody else led. `was_seen`: the mirror has shown
    our election, so what is older than that is no longer what is stored.
    """

    epoch: int
    trusted_until: float
    as_reserve: bool = False
    was_seen: bool = False


@dataclass(frozen=True, slots=True)
class Aside:
    """We want another node to lead: why, and from when on we do it all the same, should nobody lead until then."""

    why: str
    needed_from: float


@dataclass(frozen=True, slots=True)
class Campaign:
    """Try to create the leader key."""


@dataclass(frozen=True, slots=True)
class Lead:
    """Go on leading."""


@dataclass(frozen=True, slots=True)
class StepDown:
    """Stop leading at once."""

    why: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing until something changes; `ready`: hold a lease meanwhile, because then it is to be quick."""

    why: str
    ready: bool = False


Action = Campaign | Lead | StepDown | Wait


def step(seen: Observation, own: Own | None, now: float, aside: Aside | None = None) -> Action:
    """Say what a candidate does next; `own` is None for one that does not lead, `now` is on the lease's clock.

    One that stands `aside` leaves leading to the others, and leads only where nobody does: better than nobody.
    """
    if own is not None:
        return _lead_on(seen, own, now, aside)
    if not seen.connected:
        return Wait("the store is out of reach")
    if seen.leader is None:
        return Campaign() if aside is None or now >= aside.needed_from else Wait(_stands_aside(aside))
    if not seen.leader.lease_id:
        return Wait(f"{seen.leader.key} was written without a lease and would stay for ever: delete it")
    return Wait("another node leads", ready=aside is None)


def _lead_on(seen: Observation, own: Own, now: float, aside: Aside | None) -> Action:
    if now >= own.trusted_until:
        return StepDown("the lease ran out")
    if aside is not None and not own.as_reserve:
        return StepDown(_stands_aside(aside))
    if seen.revision < own.epoch:
        return StepDown("the store was put back to an old copy") if own.was_seen else Lead()
    if seen.leader is None:
        return StepDown("the leader key is gone")
    if seen.leader.create_revision != own.epoch:
        return StepDown("another node was elected")
    return Lead()


def _stands_aside(aside: Aside) -> str:
    return f"stands aside: {aside.why}"
