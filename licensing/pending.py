"""Licences that wait for their time: a renewal that was installed early takes the place of the old one when it begins.

Until then the old one stays in its place. Knows nothing of who may install what.
"""

from __future__ import annotations

from msgspec.structs import replace

from licensing.ledger import KeyHistory, Ledger
from licensing.licence import Licence, SignedLicence
from licensing.value import Time


def supersedes(new: Licence, old: Licence) -> bool:
    """Whether `new` replaces `old`: the higher sequence of one lineage, else the newer issue date."""
    if new.lineage == old.lineage:
        return (new.sequence, new.issued) > (old.sequence, old.issued)
    return new.issued > old.issued


def ripen(ledger: Ledger, now: Time) -> Ledger:
    """Return the ledger in which every licence whose time has come is in its place."""
    keys = tuple(_ripe(history, now) for history in ledger.keys)
    return replace(ledger, keys=keys, installed=standing(ledger.installed, now))


def standing(installed: tuple[SignedLicence, ...], now: Time) -> tuple[SignedLicence, ...]:
    """Return the site's licences without those that another of their lineage has replaced.

    One that waits replaces others that wait.
    """
    return tuple(old for old in installed if not any(replaces(new.licence, old.licence, now) for new in installed))


def replaces(new: Licence, old: Licence, now: Time) -> bool:
    """Whether a licence of the site has taken the place of another: of its lineage, newer, and not waiting for it."""
    begun = new.not_before <= now or old.not_before > now
    return begun and new.lineage == old.lineage and supersedes(new, old)


def for_key(history: KeyHistory, new: SignedLicence, now: Time) -> KeyHistory:
    """Return the key with a licence that supersedes what is known of it; one that waits leaves the other in place."""
    if new.licence.not_before > now:
        return replace(history, pending=new)
    return replace(history, signed=new, pending=None)


def newest_of(history: KeyHistory) -> SignedLicence:
    """The newest licence that is known of a key, also when it waits."""
    return history.pending or history.signed


def _ripe(history: KeyHistory, now: Time) -> KeyHistory:
    if history.pending is None or history.pending.licence.not_before > now:
        return history
    return replace(history, signed=history.pending, pending=None)
