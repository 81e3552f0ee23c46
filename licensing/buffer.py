"""The buffer licence: what the removal of the key in use grants, and what of it is left.

Dates in a key's history are uncapped; what is shown and used never outlives the licence that the buffer stands in for.
Every removal counts as the last one, also one that granted nothing because the licence had expired: a key that is
pulled again within 60 days of that has no buffer to inherit.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from licensing.ledger import KeyHistory
from licensing.policy import FIRST_BUFFER, LATER_BUFFER, REMOVAL_INTERVAL
from licensing.value import Time


class Grant(NamedTuple):
    """The uncapped end of the buffer after a removal (None: there never was one) and the rule that says so."""

    until: Time | None
    sentence: str


def grant(history: KeyHistory, at: Time) -> Grant:
    """Say what a removal of this key, begun at `at`, grants."""
    if history.signed.licence.expires <= at:
        return Grant(history.buffer_until, "The licence had already expired when the key was removed: no buffer.")
    if history.last_removal is None:
        return Grant(at + FIRST_BUFFER, "First removal of this key: a buffer of 30 days.")
    if at - history.last_removal < REMOVAL_INTERVAL:
        return Grant(history.buffer_until, "Less than 60 days since the last removal: the previous buffer's end stays.")
    return Grant(at + LATER_BUFFER, "60 days or more since the last removal: a buffer of 60 days.")


def settled(history: KeyHistory) -> bool:
    """Whether the key is out of service and that has become a removal."""
    return history.out_since is not None and history.last_removal == history.out_since


def settle(history: KeyHistory) -> tuple[KeyHistory, str]:
    """Turn the key's being out of service into a removal, dated at its beginning; return it with the rule applied."""
    assert history.out_since is not None
    until, sentence = grant(history, history.out_since)
    return replace(history, last_removal=history.out_since, buffer_until=until), sentence


def running_until(history: KeyHistory) -> Time | None:
    """The end of the buffer that stands in for this key now, capped by its licence; None when none was granted."""
    licence = history.signed.licence
    if not settled(history) or history.buffer_until is None or history.out_since is None:
        return None
    return min(history.buffer_until, licence.expires) if history.out_since < licence.expires else None
