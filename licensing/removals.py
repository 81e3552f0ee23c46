"""What is remembered of the removals of USB keys and of the buffers that they were granted, for people to look at."""

from __future__ import annotations

from licensing.ledger import KeyHistory, Ledger
from licensing.value import Time, Value


class KeyRemoval(Value, frozen=True):
    """The last removal of a USB key that was in use, and the last buffer that it was granted.

    `out_since`: since when it has been out of service; None while it serves. `last_removal`: when its last settled
    removal began; None where there never was one. `buffer_uncapped`: the end of the buffer as it was granted.
    `buffer_expires`: the same, cut off where the key's licence ends. `in_use`: its licence stands for the site's keys.
    """

    key_id: str
    node: str
    out_since: Time | None
    last_removal: Time | None
    buffer_expires: Time | None
    buffer_uncapped: Time | None
    in_use: bool


def removals(ledger: Ledger) -> tuple[KeyRemoval, ...]:
    """Return one for every USB key that is remembered, the newest removal first and those never removed last."""
    return tuple(_removal(history, ledger.in_use) for history in sorted(ledger.keys, key=_newest_first))


def _newest_first(history: KeyHistory) -> tuple[float, str]:
    at = history.last_removal
    return (float("inf") if at is None else -at.timestamp(), history.key_id)


def _removal(history: KeyHistory, in_use: str | None) -> KeyRemoval:
    until = history.buffer_until
    return KeyRemoval(
        key_id=history.key_id,
        node=history.node,
        out_since=history.out_since,
        last_removal=history.last_removal,
        buffer_expires=None if until is None else min(until, history.signed.licence.expires),
        buffer_uncapped=until,
        in_use=history.key_id == in_use,
    )
