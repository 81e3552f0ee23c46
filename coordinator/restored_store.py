"""What to make of a store that is older than what was seen of it: an etcd that was restored from an old copy, or lost.

The ledger with the highest sequence counts, wherever it is; of two with the same, the one that
`licensing.ledger_version` puts last. The node whose disk has it writes it back when it leads; the other one stands
aside for it. Pure: nothing is read or written here.
"""

from __future__ import annotations

import datetime as dt

import msgspec
from msgspec.structs import replace

from cluster.records import index_writes
from cluster.store import Put, View, Write
from cluster.values import encode_value
from coordinator.cycle import CLOCK_EVERY, Office, Plan, as_read
from coordinator.facts import Facts
from coordinator.notices import Notice
from coordinator.published import Clock, Snapshot
from licensing.decide import Change
from licensing.history import Cause, content_of_restore
from licensing.ledger import Ledger, Restored, Site, Usage
from licensing.ledger_version import NO_LEDGER, LedgerVersion, version_of
from licensing.records import GENESIS, ChainHead, append
from licensing.status import Alert
from licensing.value import Time

TOLD_FOR = dt.timedelta(days=7)
"""How long after it was put right an operator is told that the store was restored."""
HEAR_WITHIN = 10.0
"""Seconds for which what the agents of other nodes have seen is waited for, before a ledger is written back: an agent
that runs tries at least every two, and one whose machine was switched on together with this one needs some to start."""


_SYSTEM = Cause()


class WriteBack(msgspec.Struct, frozen=True):
    """This node has the newest ledger: as the leader it writes it back. `why` is for people."""

    snapshot: Snapshot
    why: str


class StandAside(msgspec.Struct, frozen=True):
    """The other node has seen a newer ledger than this one: it should lead."""

    why: str


class Refuse(msgspec.Struct, frozen=True):
    """A newer ledger was seen than any that is at hand here: nothing may be decided on an older one."""

    why: str


Verdict = WriteBack | StandAside | Refuse | None
"""None: the store is as new as anything that was seen."""


def judge(facts: Facts, newest: Snapshot | None, node: str) -> Verdict:
    """Compare the stored ledger with what this node remembers and with what the nodes' agents say to have seen."""
    if facts.ledger is None:
        return None  # a ledger that cannot be read stops decisions anyway
    stored, own = version_of(facts.ledger), version_of(newest.ledger) if newest else NO_LEDGER
    others = [seen for seen in facts.sightings if seen.node != node]
    other = max(others, key=lambda seen: seen.ledger, default=None)
    mine = max((seen.ledger for seen in facts.sightings if seen.node == node), default=NO_LEDGER)
    told = other.ledger if other else NO_LEDGER
    if stored >= max(own, told, mine):
        return None
    older = _older(stored, max(own, told, mine))
    if newest is not None and own >= max(told, mine):
        return WriteBack(newest, f"{older}. The newest ledger, {own.sequence}, is being written back.")
    if other is not None and told > max(stored, own) and told >= mine:
        return StandAside(
            f"{older}. Node {other.name} has seen {told.sequence}: its coordinator is to write that back. If it "
            "cannot, restore a backup with `twinkey site restore`, or see docs/recovery.md.",
        )
    return Refuse(
        f"{older}. This node's agent has seen {mine.sequence} and its coordinator's disk does not have it: start the "
        "other node's coordinator, restore a backup with `twinkey site restore`, or see docs/recovery.md."
    )


def _older(stored: LedgerVersion, seen: LedgerVersion) -> str:
    """Say in what the stored ledger is behind."""
    why = f"The ledger in etcd has sequence {stored.sequence}, older than what was seen"
    if stored.sequence == seen.sequence:  # it was put back, and somebody who knew nothing newer went on from there
        why = (
            f"The ledger in etcd is another one of sequence {stored.sequence} than was seen, and counts less than that"
        )
    return f"{why}: etcd was restored from an old copy"


def all_heard(facts: Facts, newest: Snapshot, node: str) -> bool:
    """Whether every other node has said by now that it has seen more than is stored.

    Who says less may not have spoken yet: an old copy of the store has old reports in it.
    """
    stored = version_of(facts.ledger or Ledger())
    heard = {seen.node for seen in facts.sightings if seen.ledger > stored}
    return set(newest.site.members) <= {node, *heard}


def notices_of(ledger: Ledger, now: Time) -> tuple[Notice, ...]:
    """Return what to tell of the last time that the store was put right."""
    if not ledger.restored or now >= ledger.restored[-1].at + TOLD_FOR:
        return ()
    last = ledger.restored[-1]
    sentence = (
        f"The store was older than what was known of it and was put right {last.at:%Y-%m-%d %H:%M} UTC: check that "
        "nobody restores etcd by itself, and `twinkey records verify`."
    )
    return (Notice(Alert.STORE_RESTORED, sentence),)


def write_back(snapshot: Snapshot, facts: Facts, view: View, office: Office, now: Time) -> Plan:
    """Return the plan that puts this node's newest ledger in the place of the stored one."""
    keys, stored = office.keys, facts.ledger or Ledger()
    before = stored.restored if stored.sequence else snapshot.ledger.restored
    return Plan(
        writes=tuple(writes_of(snapshot, facts, office, before, _lost(snapshot.ledger, stored, now))),
        conditions=as_read(view, keys.site, keys.ledger, keys.usage, keys.clock),
        changes=(Change("store", f"Ledger {snapshot.ledger.sequence} was written back to an older store."),),
        again_at=now + CLOCK_EVERY,
    )


def writes_of(
    snapshot: Snapshot,
    facts: Facts,
    office: Office,
    before: tuple[Restored, ...],
    lost: Restored,
    cause: Cause = _SYSTEM,
) -> list[Write]:
    """Return the writes that put a snapshot in the place of what is stored, and record it.

    `lost`: which records of its history are not there; `before`: what was lost of that earlier.
    """
    stored, newest = facts.ledger or Ledger(), snapshot.ledger
    site = _site(snapshot.site, facts.site)
    record, head = append(ChainHead(lost.end, lost.after), content_of_restore(site, newest, lost, cause))
    ledger = replace(
        newest,
        sequence=max(newest.sequence, stored.sequence) + 1,
        restored=(*before, lost),
        record_count=head.count,
        record_hash=head.hash,
        usage=None,
    )
    writes: list[Write] = [Put(office.keys.ledger, encode_value(ledger)), _clock(snapshot, facts, office, lost.at)]
    if site != facts.site:
        writes.append(Put(office.keys.site, encode_value(site)))
    usage = _newer(snapshot.usage, stored.usage)
    if usage is not None and usage != stored.usage:
        writes.append(Put(office.keys.usage, encode_value(usage)))
    return [*writes, *index_writes(office.keys, record)]


def _lost(newest: Ledger, stored: Ledger, now: Time) -> Restored:
    """Return which records the store lacks; new ones go on behind all that there ever were."""
    first, before = stored.record_count, stored.record_hash or GENESIS
    if newest.record_count <= first:
        return Restored(now, first, first, before, before)
    return Restored(now, first, newest.record_count, before, newest.record_hash)


def _site(known: Site, stored: Site | None) -> Site:
    """Return the known site with the earliest start of the trial; a member that joined meanwhile stays one."""
    if stored is None:
        return known
    members = known.members if set(stored.members) <= set(known.members) else stored.members
    return replace(known, trial_start=min(known.trial_start, stored.trial_start), members=members)


def _newer(known: Usage | None, stored: Usage | None) -> Usage | None:
    if known is None or (stored is not None and stored.reported_at >= known.reported_at):
        return stored
    return known


def _clock(snapshot: Snapshot, facts: Facts, office: Office, now: Time) -> Write:
    """Neither time nor the index goes back."""
    clocks = [clock for clock in (snapshot.clock, facts.clock) if clock is not None]
    mark = max((clock.high_water for clock in clocks), default=now)
    index = max((clock.index for clock in clocks), default=0)
    return Put(office.keys.clock, encode_value(Clock(max(mark, now), max(index, office.index))))
