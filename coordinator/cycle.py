"""One turn of the leader: from facts and a time to the transaction that publishes what is true.

Pure: it reads nothing and writes nothing. Every plan is to be committed with the leader's fence and with the revisions
it read, so that neither a deposed leader nor a stale reading can publish.
"""

from __future__ import annotations

import datetime as dt

import msgspec
from msgspec.structs import replace

from cluster.keys import Keys
from cluster.store import Absent, Condition, ModifiedAt, Put, View, Write
from cluster.values import encode_value
from coordinator.facts import Facts
from coordinator.published import Clock, Leader, Published
from licensing.decide import Change, Decision, decide
from licensing.model import Ledger, Status, Time
from licensing.policy import Policy
from licensing.presence import resume

CLOCK_EVERY = dt.timedelta(minutes=10)
"""How often an idle leader writes the high-water mark of time."""


_SLACK = dt.timedelta(minutes=1)


class Office(msgspec.Struct, frozen=True):
    """Who publishes, under which epoch, and the highest index it knows of."""

    keys: Keys
    leader: Leader
    epoch: int
    index: int


class Plan(msgspec.Struct, frozen=True):
    """What to write, under which conditions, and when to think again; nothing to write when nothing changed."""

    writes: tuple[Write, ...]
    conditions: tuple[Condition, ...]
    changes: tuple[Change, ...]
    again_at: Time


def plan(facts: Facts, view: View, office: Office, now: Time, policy: Policy) -> Plan:
    """Decide, and say what of the decision is new and must be written."""
    assert facts.site is not None
    assert facts.ledger is not None
    decision = decide(facts.site, facts.views, resume(facts.ledger, _dark(facts, office, now)), now, policy)
    status = _with_problems(decision.status, facts.problems)
    writes = list(_writes(facts, decision, status, office, now))
    if not writes and _clock_due(facts, now):
        writes.append(_clock(office, now, _index(facts, office)))
    return Plan(
        writes=tuple(writes),
        conditions=_read(view, office.keys.ledger, office.keys.site, office.keys.status, office.keys.usage),
        changes=decision.changes,
        again_at=min(decision.next_change or _clock_at(facts, now), _clock_at(facts, now)),
    )


def _dark(facts: Facts, office: Office, now: Time) -> dt.timedelta:
    """For how long nobody led before this term, as far as can be told: a leader writes the clock every ten minutes."""
    told = facts.published is not None and facts.published.epoch == office.epoch
    silence = dt.timedelta() if told or facts.clock is None else now - facts.clock.high_water
    return silence if silence > CLOCK_EVERY + _SLACK else dt.timedelta()


def _writes(facts: Facts, decision: Decision, status: Status, office: Office, now: Time) -> list[Write]:
    published, ledger = facts.published, _stored(decision.ledger)
    changed_ledger = facts.ledger is None or ledger != _stored(facts.ledger)
    known = _index(facts, office)
    told = published is not None and (published.status, published.epoch, published.index) == (
        status,
        office.epoch,
        known,
    )
    if told and not changed_ledger:
        return []
    index = known + 1
    answer = Published(office.keys.site_id, status, office.leader, office.epoch, index, now)
    writes: list[Write] = [Put(office.keys.status, encode_value(answer)), _clock(office, now, index)]
    return [Put(office.keys.ledger, encode_value(ledger)), *writes] if changed_ledger else writes


def _index(facts: Facts, office: Office) -> int:
    """The highest index known: the published one may be missing, bad, or from a restored store."""
    published = facts.published.index if facts.published else 0
    return max(published, facts.clock.index if facts.clock else 0, office.index)


def _clock(office: Office, now: Time, index: int) -> Write:
    return Put(office.keys.clock, encode_value(Clock(now, index)))


def _clock_at(facts: Facts, now: Time) -> Time:
    return facts.clock.high_water + CLOCK_EVERY if facts.clock else now + CLOCK_EVERY


def _clock_due(facts: Facts, now: Time) -> bool:
    return facts.clock is None or now >= _clock_at(facts, now)


def _stored(ledger: Ledger) -> Ledger:
    """Usage has a key of its own: its writer is the platform, not the law."""
    return replace(ledger, usage=None)


def _read(view: View, *keys: str) -> tuple[Condition, ...]:
    """Conditions that hold as long as what was read is still what is stored."""
    entries = ((key, view.entries.get(key)) for key in keys)
    return tuple(ModifiedAt(key, entry.mod_revision) if entry else Absent(key) for key, entry in entries)


def _with_problems(status: Status, problems: tuple[str, ...]) -> Status:
    return replace(status, reasons=(*status.reasons, *problems))
