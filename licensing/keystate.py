"""The key-state table: how the keys inserted in a site's nodes make the state of the USB key.

The table is the law; everything else in this file only looks it up. It knows no time and no licence.
"""

from __future__ import annotations

from typing import NamedTuple

from licensing.ledger import KeyState
from licensing.presence import Presence
from licensing.seen import Reading


class Verdict(NamedTuple):
    """A key state and the sentence that explains it to an operator."""

    state: KeyState
    sentence: str


MANY = 2
"""Two and any higher number are the same to the law."""

# (keys in the node that has fewer, keys in the node that has more); a single-node site has an empty second node.
TABLE: dict[tuple[int, int], Verdict] = {
    (0, 0): Verdict(KeyState.MISSING, "No USB key is inserted. Insert the key that was in use."),
    (0, 1): Verdict(KeyState.READY, "One USB key is inserted and works."),
    (0, MANY): Verdict(
        KeyState.FAULT, "One node has several USB keys. Leave one key in the site and remove the others."
    ),
    (1, 1): Verdict(KeyState.ABNORMAL, "Both nodes have a USB key. The licence is not affected; remove one key."),
    (1, MANY): Verdict(KeyState.ABNORMAL, "Both nodes have USB keys. The licence is not affected; leave one key."),
    (MANY, MANY): Verdict(KeyState.FAULT, "Both nodes have several USB keys. Leave one key in the site."),
}

NEVER_USED = Verdict(KeyState.NONE, "No USB key has been in use on this site.")

NONE_WORKS = Verdict(
    KeyState.ABNORMAL,
    "Both nodes have USB keys and none can be used: the buffer licence applies as with a key at fault. Replace or "
    "repair one key and remove the others.",
)
NONE_EVER_WORKED = Verdict(
    KeyState.ABNORMAL, "Both nodes have USB keys and none can be used. Replace or repair one key and remove the others."
)


def key_state(presence: Presence, before: KeyState, *, used: bool) -> Verdict:
    """Return the site's key state.

    A key that is still being read keeps the state `before`. `used`: whether a key was ever in use on this site.
    """
    if presence.pending:
        return Verdict(before, f"USB key {', '.join(presence.pending)} is being read; until then the state is kept.")
    counts = [min(count, MANY) for count in presence.counts()]
    fewer, more = min([*counts, 0][:MANY]), max(counts)
    if more == 0 and not used:
        return NEVER_USED
    verdict = TABLE[fewer, more]
    if verdict.state is KeyState.ABNORMAL and not presence.readable:
        return NONE_WORKS if used else NONE_EVER_WORKED
    return _unless_broken(presence) if verdict.state is KeyState.READY else verdict


def _unless_broken(presence: Presence) -> Verdict:
    """One key alone is Normal only if it functions."""
    (key,) = (key for keys in presence.keys.values() for key in keys)
    if key.reading is Reading.OK:
        return TABLE[0, 1]
    reason = key.reason or key.reading.value
    return Verdict(
        KeyState.FAULT,
        f"USB key {key.key_id} is inserted but cannot be used: {reason}. Replace or repair it.",
    )
