"""The key in use: which key's licence stands for the site's keys, and since when it has been out of service.

The key in use does not flap: it stays while it is inserted, genuine and its licence valid. Another key takes over only
when it can do better.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from licensing import buffer
from licensing.ledger import KeyHistory, KeyState, Ledger
from licensing.licence import Licence, SignedLicence
from licensing.pending import for_key, newest_of, supersedes
from licensing.policy import Policy
from licensing.presence import Presence
from licensing.seen import InsertedKey
from licensing.value import Time

SERVING_STATES = (KeyState.READY, KeyState.ABNORMAL)


def valid(licence: Licence, now: Time) -> bool:
    """Whether a licence, by its own dates, is valid at this moment."""
    return licence.not_before <= now < licence.expires


def track(ledger: Ledger, presence: Presence, now: Time, policy: Policy) -> tuple[KeyHistory, ...]:
    """Bring every remembered key up to date: where it is, what it carries, since when it is out of service."""
    return tuple(_track_one(history, ledger, presence, now, policy) for history in ledger.keys)


def _track_one(history: KeyHistory, ledger: Ledger, presence: Presence, now: Time, policy: Policy) -> KeyHistory:
    inserted = presence.readable.get(history.key_id)
    if inserted is not None and policy.auto_synchronize:
        history = _synchronised(history, _held(inserted), now)
    if inserted is not None and ledger.key_state in SERVING_STATES:
        return replace(history, out_since=None, node=presence.node_of(history.key_id))
    if history.key_id == ledger.in_use and history.out_since is None:
        return replace(history, out_since=presence.lost_at(history.node, now))
    return history


def settle_due(history: KeyHistory, now: Time, policy: Policy) -> bool:
    """Whether the key has been out of service long enough for that to become a removal."""
    return (
        history.out_since is not None
        and not buffer.settled(history)
        and now - history.out_since >= policy.removal_settle
    )


def choose(ledger: Ledger, presence: Presence, now: Time, policy: Policy) -> str | None:
    """Return the key id of the key in use after this moment, None if no key was ever in use."""
    current = ledger.in_use
    if ledger.key_state not in SERVING_STATES:
        return current
    carried = licences_carried(ledger, presence, policy)
    usable = [key_id for key_id, signed in carried.items() if valid(signed.licence, now)]
    if current in usable:
        return current
    if usable:
        return _best(usable, carried)
    if current is not None and (current in carried or still_usable(history_of(ledger, current), now)):
        return current
    return _best(carried, carried) if carried else current


def licences_carried(ledger: Ledger, presence: Presence, policy: Policy) -> dict[str, SignedLicence]:
    """The licence of every working inserted key: what is remembered of it (`track` has seen what it holds), else that.

    Without `auto_synchronize` only keys that were synchronised before count.
    """
    known = {history.key_id: history.signed for history in ledger.keys}
    return {
        key_id: known.get(key_id, _held(key))
        for key_id, key in presence.readable.items()
        if policy.auto_synchronize or key_id in known
    }


def still_usable(history: KeyHistory, now: Time) -> bool:
    """Whether the key's licence can be used now: it serves, its removal is not settled, or its buffer runs."""
    if not valid(history.signed.licence, now):
        return False
    until = buffer.running_until(history)
    return not buffer.settled(history) or (until is not None and now < until)


def history_of(ledger: Ledger, key_id: str) -> KeyHistory:
    """The history of a remembered key."""
    return next(history for history in ledger.keys if history.key_id == key_id)


def _held(key: InsertedKey) -> SignedLicence:
    assert key.licence is not None
    return key.licence


def _synchronised(history: KeyHistory, held: SignedLicence, now: Time) -> KeyHistory:
    return for_key(history, held, now) if supersedes(held.licence, newest_of(history).licence) else history


def _best(candidates: Iterable[str], carried: dict[str, SignedLicence]) -> str:
    """The newest issue date, then the lowest key id."""
    return min(candidates, key=lambda key_id: (-carried[key_id].licence.issued.timestamp(), key_id))
