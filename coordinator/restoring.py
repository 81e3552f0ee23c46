"""Restoring a backup: whether it may be, and the leader's plan for it. Pure.

The highest sequence wins here too: a backup is refused where it would take a licence back.
"""

from __future__ import annotations

import datetime as dt

from cluster.keys import Keys
from cluster.records import index_writes
from cluster.store import Delete, View, Write
from coordinator.cycle import Office, Plan, answered, as_read
from coordinator.facts import Facts, Waiting
from coordinator.orders import Outcome, Restore
from coordinator.published import Snapshot
from coordinator.restored_store import writes_of
from licensing.decide import Change
from licensing.history import Cause
from licensing.install import NotInstalled
from licensing.model import Ledger, Lineage, Time
from licensing.pending import newest_of

SOON = dt.timedelta(minutes=10)
_HINT = "The site knows more than this backup: take the newest backup that there is, or leave the site as it is."


def refusal_of(snapshot: Snapshot, facts: Facts, newest: Snapshot | None) -> NotInstalled | None:
    """Return why a backup is refused, given what is stored and what this node remembers; None for nothing."""
    stored = facts.ledger or Ledger()
    if facts.site is not None and facts.site.site_id != snapshot.site.site_id:
        text = f"The backup is of site {snapshot.site.site_id}."
        return NotInstalled("other-site", 409, text, "Restore a backup of this site.")
    for known in (stored, newest.ledger if newest else stored):
        text = _taken_back(known, snapshot.ledger)
        if text:
            return NotInstalled("backup-too-old", 409, text, _HINT)
    return None


def plan_restore(
    waiting: Waiting, errand: Restore, facts: Facts, view: View, office: Office, newest: Snapshot | None, now: Time
) -> Plan:
    """Return the plan that carries the order out, or refuses it; what follows from it is decided in the next turn."""
    keys, stored = office.keys, facts.ledger or Ledger()
    refusal = refusal_of(errand.snapshot, facts, newest)
    if refusal is None and stored.sequence != errand.expected:
        text = "The site changed while the backup was being restored; nothing was changed by it."
        refusal = NotInstalled("changed-meanwhile", 409, text, "Restore it again.")
    writes: list[Write] = []
    if refusal is None:
        cause = Cause() if waiting.order is None else waiting.order.cause
        writes = [*writes_of(errand.snapshot, facts, office, now, cause, whole=True), *_swapped(keys, errand)]
        text = f"The backup with ledger {errand.snapshot.ledger.sequence} was restored."
        outcome = Outcome(200, "", text, "See `twinkey status`, and `twinkey records verify`.", changed=True)
    else:
        outcome = Outcome(refusal.http, refusal.code, refusal.text, refusal.hint, changed=False)
    return Plan(
        writes=(*writes, *answered(waiting, outcome, office)),
        conditions=as_read(view, keys.site, keys.ledger, keys.usage, keys.clock, waiting.entry.key),
        changes=(Change("store", outcome.text),),
        again_at=now + SOON,
    )


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


def _swapped(keys: Keys, errand: Restore) -> list[Write]:
    """Return the writes by which the backup's first records take the places of other ones."""
    puts = [put for record in errand.records for put in index_writes(keys, record)]
    kept = {put.key for put in puts}
    gone = {put.key for record in errand.replaced for put in index_writes(keys, record)} - kept
    return [*puts, *map(Delete, sorted(gone))]
