"""Restoring a backup: whether it may be, and the leader's plan for it. Pure.

The highest sequence wins here too: a backup is refused where it would take a licence back, or where an agent has seen
a newer ledger. Its ledger counts from one transaction on; its history is staged before that, and moved to its place
after it, however long it is.
"""

from __future__ import annotations

import datetime as dt

from msgspec.structs import replace

from cluster.store import Put, View, Write
from cluster.values import encode_value
from coordinator.cycle import Office, Plan, answered, as_read
from coordinator.facts import Facts, Sighting, WaitingRestore
from coordinator.orders import Outcome, Restore
from coordinator.published import Snapshot
from coordinator.restored_store import writes_of
from licensing.decide import Change
from licensing.install import NotInstalled
from licensing.ledger import Ledger, Lineage, Restored, Staged
from licensing.ledger_version import version_of
from licensing.pending import newest_of
from licensing.records import GENESIS
from licensing.value import Time

SOON = dt.timedelta(minutes=10)
BUSY = NotInstalled(
    "restore-not-finished",
    409,
    "The history of a backup that was restored before is still being put in its place.",
    "Wait a minute and try again; it takes a coordinator that leads.",
)
_SEEN_HINT = (
    "Take the newest backup that there is, or look for the coordinator's disk that has that ledger. To go on without "
    "it, see `A newer ledger was seen than there is` in docs/recovery.md."
)
_HINT = "The site knows more than this backup: take the newest backup that there is, or leave the site as it is."


def refusal_of(snapshot: Snapshot, facts: Facts, newest: Snapshot | None) -> NotInstalled | None:
    """Return why a backup is refused, given what is stored and what this node remembers; None for nothing."""
    stored = facts.ledger or Ledger()
    if facts.site is not None and facts.site.site_id != snapshot.site.site_id:
        text = f"The backup is of site {snapshot.site.site_id}."
        return NotInstalled("other-site", 409, text, "Restore a backup of this site.")
    if on_its_way(stored) is not None:
        return BUSY
    for known in (stored, newest.ledger if newest else stored):
        text = _taken_back(known, snapshot.ledger)
        if text:
            return NotInstalled("backup-too-old", 409, text, _HINT)
    seen = max(facts.sightings, key=lambda seen: seen.ledger, default=None)
    if seen is not None and version_of(snapshot.ledger) < seen.ledger:
        text = _unlike(seen, snapshot.ledger)
        return NotInstalled("backup-too-old", 409, text, _SEEN_HINT)
    return None


def _unlike(seen: Sighting, backup: Ledger) -> str:
    """Say that a node has seen a newer ledger than the backup's; its restored one would not count either."""
    text = f"The agent of node {seen.name} has seen ledger {seen.ledger.sequence}, this backup ends at"
    if seen.ledger.sequence == backup.sequence:
        return f"{text} another one of that sequence."
    return f"{text} {backup.sequence}."


def plan_restore(
    waiting: WaitingRestore, facts: Facts, view: View, office: Office, newest: Snapshot | None, now: Time
) -> Plan:
    """Return the plan that carries the order out, or refuses it; what follows from it is decided in the next turn."""
    errand, keys, stored = waiting.order.errand, office.keys, facts.ledger or Ledger()
    refusal = refusal_of(errand.snapshot, facts, newest)
    if refusal is None and stored.sequence != errand.expected:
        text = "The site changed while the backup was being restored; nothing was changed by it."
        refusal = NotInstalled("changed-meanwhile", 409, text, "Restore it again.")
    writes: list[Write] = []
    if refusal is None:
        lost = _dropped(errand.snapshot.ledger, stored, now)
        before = (*errand.snapshot.ledger.restored, *_on_their_way(errand, lost))
        writes = writes_of(errand.snapshot, facts, office, before, lost, waiting.order.cause)
        text = f"The backup with ledger {errand.snapshot.ledger.sequence} was restored."
        outcome = Outcome(200, "", text, "See `twinkey status`, and `twinkey records verify`.", changed=True)
    else:
        outcome = Outcome(refusal.http, refusal.code, refusal.text, refusal.hint, changed=False)
    return Plan(
        writes=(*writes, *answered(waiting.entry, outcome, office)),
        conditions=as_read(view, keys.site, keys.ledger, keys.usage, keys.clock, waiting.entry.key),
        changes=(Change("store", outcome.text),),
        again_at=now + SOON,
    )


def on_its_way(ledger: Ledger) -> Restored | None:
    """Return what is still to be done of putting a restored history in its place; None when all is done."""
    return next((restored for restored in ledger.restored if restored.staged is not None), None)


def plan_move(moves: tuple[Write, ...], after: Staged, facts: Facts, view: View, office: Office, now: Time) -> Plan:
    """Return the plan that puts some records of a restored history in their places; `after`: what is staged then."""
    assert facts.ledger is not None
    keys, ledger = office.keys, facts.ledger
    restored = tuple(_moved(each, after) for each in ledger.restored)
    done = tuple(each for each in restored if each.staged is None or each.staged.first < each.end)
    moved = replace(ledger, sequence=ledger.sequence + 1, restored=done, usage=None)
    ended = len(done) < len(restored)
    return Plan(
        writes=(*moves, Put(keys.ledger, encode_value(moved))),
        conditions=as_read(view, keys.ledger),
        changes=(Change("store", "The history of the backup is in its place."),) if ended else (),
        again_at=now + SOON,
    )


def _moved(restored: Restored, after: Staged) -> Restored:
    return restored if restored.staged is None else replace(restored, staged=after)


def _dropped(backup: Ledger, stored: Ledger, now: Time) -> Restored:
    """Return which numbers stay empty because the site has more records than the backup; new ones go on behind them."""
    count, last = backup.record_count, backup.record_hash or GENESIS
    if stored.record_count <= count:
        return Restored(now, count, count, last, last)
    return Restored(now, count, stored.record_count, last, stored.record_hash)


def _on_their_way(errand: Restore, lost: Restored) -> tuple[Restored, ...]:
    """Return which records are staged: all from the first one that differs on, up to where new ones go on."""
    first = errand.staged.first
    if first >= lost.end:
        return ()
    return (Restored(lost.at, first, lost.end, errand.before, lost.after, errand.staged),)


def _taken_back(known: Ledger, backup: Ledger) -> str:
    """Say what the backup would take back; empty for nothing."""
    if backup.sequence <= known.sequence:
        return f"The backup's ledger has sequence {backup.sequence}, the site's {known.sequence}."
    kept = {lineage.lineage: _place(lineage) for lineage in backup.lineages}
    for lineage in known.lineages:
        if lineage.lineage not in kept or kept[lineage.lineage] < _place(lineage):
            return f"The backup does not know the newest licence of {lineage.lineage}."
    if not set(known.spent) <= set(backup.spent):
        return "The backup does not know of every request code that was used."
    licences = {history.key_id: newest_of(history).licence for history in backup.keys}
    for history in known.keys:
        newest = newest_of(history).licence
        if history.key_id in licences and licences[history.key_id].issued < newest.issued:
            return f"The backup does not know the newest licence of USB key {history.key_id}."
    return ""


def _place(lineage: Lineage) -> tuple[int, Time]:
    return lineage.sequence, lineage.issued
