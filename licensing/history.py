"""From one ledger to the next: what of the difference belongs in the history.

Every change that concerns authorisation is a record, whoever caused it: an order, a key, or the passing of time. The
difference of two ledgers tells it, so nothing can change without being recorded.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from licensing import buffer
from licensing.inforce import in_force, trial_of
from licensing.inuse import history_of, still_usable, valid
from licensing.ledger import KeyHistory, Ledger, Restored, Site
from licensing.licence import Licence, SignedLicence
from licensing.pending import replaces
from licensing.records import Action, Content, Event, content_of
from licensing.status import Validity
from licensing.value import Time

SYSTEM = "system"
"""Who, where nobody asked for it."""


class Cause(msgspec.Struct, frozen=True):
    """Who gave the order to which node, where an order made the change; else the system."""

    who: str = SYSTEM
    node: str = ""


def contents_of(site: Site, before: Ledger, after: Ledger, now: Time, cause: Cause) -> tuple[Content, ...]:
    """Return what is to be recorded of a change of the ledger, in the order of its causes."""
    return (
        *_of_trial_start(site, before, now),
        *_of_site_licences(before, after, now, cause),
        *_of_key_licences(before, after, now, cause),
        *_of_removals(before, after, now),
        *_of_returns(before, after, now),
        *_of_take_over(before, after, now),
        *_of_trial_end(site, before, after, now),
    )


def content_of_restore(site: Site, ledger: Ledger, restored: Restored, cause: Cause) -> Content:
    """Return what is recorded when the newest known ledger takes the place of an older one in the store."""
    lost = restored.end - restored.first
    sentence = "The store was older than what was known of it; the newest known ledger was written back."
    if cause.who != SYSTEM:
        sentence = "A backup was restored."
    if lost:
        sentence += f" Records {restored.first} to {restored.end - 1} are missing."
    held = in_force(site, ledger, restored.at)
    licence = held.licence if held else trial_of(site)
    return _said(licence, Action.RESTORED, restored.at, sentence, who=cause.who, node=cause.node)


def _of_trial_start(site: Site, before: Ledger, now: Time) -> Iterator[Content]:
    if before.record_count == 0 and not before.trial_over:
        yield _said(trial_of(site), Action.TRIAL_STARTED, now, "The trial of 30 days has started.")


def _of_trial_end(site: Site, before: Ledger, after: Ledger, now: Time) -> Iterator[Content]:
    if after.trial_over and not before.trial_over:
        yield _said(trial_of(site), Action.TRIAL_ENDED, now, "A licence was installed, which ends the trial for good.")


def _of_site_licences(before: Ledger, after: Ledger, now: Time, cause: Cause) -> Iterator[Content]:
    gone = [old for old in before.installed if old not in after.installed]
    for signed in after.installed:
        old = next((old for old in gone if old.licence.lineage == signed.licence.lineage), None)
        if signed not in before.installed:
            yield _installed(signed, old, now)
        elif old is not None and replaces(signed.licence, old.licence, now):
            yield _begun(signed, old, now)
    for old in gone:
        if not any(replaces(signed.licence, old.licence, now) for signed in after.installed):
            yield _said(old.licence, Action.DELETED, now, "The licence was deleted.", who=cause.who, node=cause.node)


def _of_key_licences(before: Ledger, after: Ledger, now: Time, cause: Cause) -> Iterator[Content]:
    known = {history.key_id: history for history in before.keys}
    for history in after.keys:
        old = known.get(history.key_id)
        replaced = old.signed if old else None
        if old is not None and old.pending is not None and old.pending == history.signed:
            yield _begun(history.signed, replaced, now)
        elif replaced is None or replaced.licence != history.signed.licence:
            yield _for_key(history, history.signed, replaced, now, cause)
        if history.pending is not None and (old is None or history.pending != old.pending):
            yield _for_key(history, history.pending, None, now, cause)


def _for_key(history: KeyHistory, signed: SignedLicence, old: SignedLicence | None, now: Time, cause: Cause) -> Content:
    if signed.who:
        return _installed(signed, old, now)
    event = Event(
        at=now,
        action=Action.SYNCHRONISED,
        status=_validity(signed.licence, now),
        who=SYSTEM if signed.uploaded_at is None else cause.who,
        node=history.node,
        sentence=f"The licence on USB key {history.key_id} was installed.{_waits(signed, now)}",
        replaced=old.licence.licence_id if old else None,
    )
    return content_of(signed.licence, event)


def _of_removals(before: Ledger, after: Ledger, now: Time) -> Iterator[Content]:
    known = {history.key_id: history for history in before.keys}
    for history in after.keys:
        old = known.get(history.key_id, history)
        if history.last_removal is not None and history.last_removal != old.last_removal:
            yield _removed(old, history, now)


def _removed(old: KeyHistory, history: KeyHistory, now: Time) -> Content:
    assert history.last_removal is not None
    rule = buffer.grant(replace(old, signed=history.signed), history.last_removal)
    action = Action.BUFFER_GRANTED if history.buffer_until != old.buffer_until else Action.KEY_REMOVED
    event = Event(
        at=now,
        action=action,
        status=Validity.VALID if still_usable(history, now) else Validity.EXPIRED,
        who=SYSTEM,
        node=history.node,
        sentence=f"{rule.sentence} It has been out of service since {history.last_removal:%Y-%m-%d %H:%M:%S} UTC.",
    )
    return content_of(history.signed.licence, event)


def _of_returns(before: Ledger, after: Ledger, now: Time) -> Iterator[Content]:
    """A key whose removal was settled serves again, which ends its buffer."""
    known = {history.key_id: history for history in before.keys}
    for history in after.keys:
        old = known.get(history.key_id, history)
        if buffer.settled(old) and history.out_since is None:
            sentence = f"USB key {history.key_id} is in service again."
            yield _said(history.signed.licence, Action.KEY_RETURNED, now, sentence, node=history.node)


def _of_take_over(before: Ledger, after: Ledger, now: Time) -> Iterator[Content]:
    if after.in_use is None or after.in_use == before.in_use:
        return
    history = history_of(after, after.in_use)
    if before.in_use is not None:
        sentence = f"USB key {history.key_id} takes the place of {before.in_use}, whose buffer is void."
    elif any(known.key_id == after.in_use for known in before.keys):
        sentence = f"USB key {history.key_id} comes into use."
    else:
        return  # that its licence was installed says it
    yield _said(history.signed.licence, Action.TAKEN_OVER, now, sentence, node=history.node)


def _installed(signed: SignedLicence, old: SignedLicence | None, now: Time) -> Content:
    event = Event(
        at=now,
        action=Action.INSTALLED,
        status=_validity(signed.licence, now),
        who=signed.who or SYSTEM,
        node=signed.node,
        sentence=f"The licence was installed.{_waits(signed, now)}",
        replaced=old.licence.licence_id if old else None,
    )
    return content_of(signed.licence, event)


def _begun(signed: SignedLicence, old: SignedLicence | None, now: Time) -> Content:
    event = Event(
        at=now,
        action=Action.TAKEN_OVER,
        status=_validity(signed.licence, now),
        who=SYSTEM,
        node=signed.node,
        sentence="The time of the licence, which was installed before, has come.",
        replaced=old.licence.licence_id if old else None,
    )
    return content_of(signed.licence, event)


def _waits(signed: SignedLicence, now: Time) -> str:
    begins = signed.licence.not_before
    return f" It waits for its time, {begins:%Y-%m-%d %H:%M} UTC." if begins > now else ""


def _said(licence: Licence, action: Action, now: Time, sentence: str, *, who: str = SYSTEM, node: str = "") -> Content:
    status = _validity(licence, now)
    return content_of(licence, Event(at=now, action=action, status=status, who=who, node=node, sentence=sentence))


def _validity(licence: Licence, now: Time) -> Validity:
    return Validity.VALID if valid(licence, now) else Validity.EXPIRED
