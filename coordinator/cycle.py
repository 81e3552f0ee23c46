"""One turn of the leader: from facts and a time to the transaction that publishes what is true.

Pure: it reads nothing and writes nothing. Every plan is to be committed with the leader's fence and with the revisions
it read, so that neither a deposed leader nor a stale reading can publish.
"""

from __future__ import annotations

import datetime as dt

import msgspec
from msgspec.structs import replace

from cluster.keys import BadKey, Keys
from cluster.records import index_writes
from cluster.store import Absent, Condition, Delete, Entry, ModifiedAt, Put, View, Write
from cluster.values import encode_value
from coordinator.carrying_out import CarriedOut, Scene, carry_out
from coordinator.facts import Facts, Waiting
from coordinator.notices import Notice, with_notices
from coordinator.orders import Outcome
from coordinator.published import Clock, Leader, Published
from licensing.decide import Change, Decision, decide
from licensing.history import Cause, contents_of
from licensing.keyring import Keyring
from licensing.ledger import Ledger
from licensing.ledger_version import version_of
from licensing.policy import Policy
from licensing.presence import resume
from licensing.records import ChainHead, append
from licensing.status import Status
from licensing.value import LAST_INDEX, Time

CLOCK_EVERY = dt.timedelta(minutes=10)
"""How often an idle leader writes the high-water mark of time."""

_SLACK = dt.timedelta(minutes=1)


class Office(msgspec.Struct, frozen=True):
    """Who publishes, under which epoch, and the highest index it knows of.

    `keyring`: the vendor's keys. `outcome_lease`: the lease under which outcomes of orders are written. `notices`: what
    to tell beside what is decided.
    """

    keys: Keys
    leader: Leader
    epoch: int
    index: int
    keyring: Keyring
    outcome_lease: int = 0
    notices: tuple[Notice, ...] = ()


class Plan(msgspec.Struct, frozen=True):
    """What to write, under which conditions, and when to think again; nothing to write when nothing changed."""

    writes: tuple[Write, ...]
    conditions: tuple[Condition, ...]
    changes: tuple[Change, ...]
    again_at: Time


def plan(facts: Facts, view: View, office: Office, now: Time, policy: Policy) -> Plan:
    """Carry out the order that has waited longest, decide, and say what of that is new and must be written."""
    assert facts.site is not None
    assert facts.ledger is not None
    ledger = resume(facts.ledger, _dark(facts, office, now))
    scene = Scene(facts.site, facts.views, ledger, office.keyring, now, policy)
    waiting = facts.orders[0] if facts.orders else None
    if waiting is None:
        return _planned(facts, view, office, scene, CarriedOut(scene.site, scene.ledger, NOTHING), None)
    try:
        return _planned(facts, view, office, scene, _carried_out(waiting, scene), waiting)
    except Exception as error:  # noqa: BLE001 - one order that cannot be carried out must not stop all decisions
        return _planned(facts, view, office, scene, CarriedOut(scene.site, scene.ledger, _failed(error)), waiting)


def _planned(
    facts: Facts, view: View, office: Office, scene: Scene, carried: CarriedOut, waiting: Waiting | None
) -> Plan:
    now, policy = scene.now, scene.policy
    decision = decide(carried.site, facts.views, carried.ledger, now, policy)
    cause = Cause() if waiting is None or waiting.order is None else waiting.order.cause
    moved = carried.site != facts.site
    writes = _writes(facts, decision, office, now, cause, counts=moved)
    if moved:
        writes.append(Put(office.keys.site, encode_value(carried.site)))
    if waiting is not None:
        writes += answered(waiting.entry, carried.outcome, office)
    elif not writes and _clock_due(facts, now):
        writes.append(_clock(office, now, _index(facts, office)))
    keys = (office.keys.ledger, office.keys.site, office.keys.status, office.keys.usage)
    return Plan(
        writes=tuple(writes),
        conditions=as_read(view, *keys, *([waiting.entry.key] if waiting else [])),
        changes=decision.changes,
        again_at=min(decision.next_change or _clock_at(facts, now), _clock_at(facts, now)),
    )


NOTHING = Outcome(200, "", "", "", changed=False)
UNREADABLE = Outcome(400, "bad-order", "The order cannot be read.", "Give the order again.", changed=False)
OF_NEWER = Outcome(
    409,
    "older-leader",
    "The order asks for what the node that leads does not know: it runs an older version.",
    "Upgrade the node that leads, and give the order again.",
    changed=False,
)


def _failed(error: Exception) -> Outcome:
    text = f"The order cannot be carried out: {repr(error)[:200]}."
    return Outcome(500, "order-failed", text, "Report this together with the order.", changed=False)


def _carried_out(waiting: Waiting, scene: Scene) -> CarriedOut:
    if waiting.order is not None:
        return carry_out(waiting.order, scene)
    return CarriedOut(scene.site, scene.ledger, OF_NEWER if waiting.newer else UNREADABLE)


def answered(order: Entry, outcome: Outcome, office: Office) -> list[Write]:
    """Take the order out of the inbox and write what became of it; nobody asks for what has no proper id."""
    taken = Delete(order.key)
    try:
        key = office.keys.outcome(order.key.removeprefix(office.keys.inboxes))
    except BadKey:
        return [taken]
    return [taken, Put(key, encode_value(outcome), office.outcome_lease)]


def _dark(facts: Facts, office: Office, now: Time) -> dt.timedelta:
    """For how long nobody led before this term, as far as can be told: a leader writes the clock every ten minutes."""
    told = facts.published is not None and facts.published.epoch == office.epoch
    silence = dt.timedelta() if told or facts.clock is None else now - facts.clock.high_water
    return silence if silence > CLOCK_EVERY + _SLACK else dt.timedelta()


def _writes(facts: Facts, decision: Decision, office: Office, now: Time, cause: Cause, *, counts: bool) -> list[Write]:
    """Return the writes of a decision; where it `counts`, the ledger's sequence rises although the ledger is the same.

    So an order that changes the site alone is not lost unnoticed with an old copy of the store.
    """
    assert facts.ledger is not None
    published, before = facts.published, _stored(facts.ledger)
    notices = tuple(dict.fromkeys(office.notices))
    status = with_notices(_with_problems(decision.status, facts.problems), notices)
    ledger = replace(_stored(decision.ledger), sequence=before.sequence)
    unrecorded = before.record_count == 0 and not before.trial_over  # that the trial has started
    changed_ledger = ledger != before or unrecorded or counts
    recorded, records = before, list[Write]()
    if changed_ledger:
        recorded, records = _record(facts, replace(ledger, sequence=before.sequence + 1), office, now, cause)
    known, version = _index(facts, office), version_of(recorded)
    answer = Published(office.keys.site_id, status, office.leader, office.epoch, known, now, version, notices)
    if published is not None and replace(answer, leader=published.leader, as_of=published.as_of) == published:
        return []
    index = min(known + 1, LAST_INDEX)
    answer = replace(answer, index=index)
    told_now: list[Write] = [Put(office.keys.status, encode_value(answer)), _clock(office, now, index)]
    if not changed_ledger:
        return told_now
    return [Put(office.keys.ledger, encode_value(recorded)), *told_now, *records]


def _record(facts: Facts, ledger: Ledger, office: Office, now: Time, cause: Cause) -> tuple[Ledger, list[Write]]:
    """Append what changed to the history; return the ledger with the chain's new head, and the writes."""
    assert facts.site is not None
    assert facts.ledger is not None
    head = ChainHead(ledger.record_count, ledger.record_hash) if ledger.record_count else ChainHead()
    writes: list[Write] = []
    for content in contents_of(facts.site, facts.ledger, ledger, now, cause):
        record, head = append(head, content)
        writes += index_writes(office.keys, record)
    return replace(ledger, record_count=head.count, record_hash=head.hash), writes


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


def as_read(view: View, *keys: str) -> tuple[Condition, ...]:
    """Conditions that hold as long as what was read is still what is stored."""
    entries = ((key, view.entries.get(key)) for key in keys)
    return tuple(ModifiedAt(key, entry.mod_revision) if entry else Absent(key) for key, entry in entries)


def _with_problems(status: Status, problems: tuple[str, ...]) -> Status:
    return replace(status, reasons=(*status.reasons, *problems))
