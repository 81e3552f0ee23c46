"""The site's USB keys as the platform's own API lists them: which key, where, and how the site stands with it.

A pure translation of a status. The state of the USB key is one for the whole site, so every inserted key shows it.
"""

from __future__ import annotations

from licensing.ledger import KeyState, Ledger
from licensing.seen import Assurance, Reading
from licensing.status import Status
from licensing.value import Value


class UKey(Value, frozen=True):
    """One key: `status` is Ready, Missing, Fault or Abnormal; `assurance` is None while it is not read."""

    management_node_uuid: str
    key_id: str
    status: str
    assurance: Assurance | None


class UKeyReading(UKey, frozen=True):
    """A key with what came of reading it, None for one that is not inserted, and why."""

    reading: Reading | None
    reason: str


def ukeys(status: Status, ledger: Ledger | None) -> tuple[UKeyReading, ...]:
    """Return every inserted key, and the key that was in use if it is missing, at the node that had it last.

    A key that is still being read while none is in use is not there yet: it is Missing until its reading has ended.
    """
    word = _word(status.key_state)
    inserted = tuple(
        UKeyReading(node.management_node_uuid, key.key_id, word, key.assurance, key.reading, key.reason)
        for node in status.nodes
        for key in node.ukeys
    )
    return (*_missing(status, ledger or Ledger(), {key.key_id for key in inserted}), *inserted)


def _missing(status: Status, ledger: Ledger, inserted: set[str]) -> tuple[UKeyReading, ...]:
    if status.key_state is not KeyState.MISSING:
        return ()
    return tuple(
        UKeyReading(history.node, history.key_id, _word(KeyState.MISSING), None, None, status.key_state_reason)
        for history in ledger.keys
        if history.key_id == ledger.in_use and history.key_id not in inserted
    )


def _word(state: KeyState) -> str:
    return KeyState.MISSING.value if state is KeyState.NONE else state.value
