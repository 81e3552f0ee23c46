"""The mark of a node that is about to be serviced: it hands its roles over and goes on answering.

An operator sets it and takes it back; it holds while it is in the store, through restarts of everything. Coordinators
and agents read it here alike. Knows nothing of what a drained node does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster.keys import last_part
from cluster.values import BadValue, read_message
from licensing.value import Name, Time, Value

if TYPE_CHECKING:
    from cluster.keys import Keys
    from cluster.store import Entry, View


class Drain(Value, frozen=True):
    """Who marked the node, and when."""

    by: Name
    at: Time


def read_drain(entry: Entry) -> Drain:
    """Return the mark that stands in the store.

    Raises:
        BadValue: it is none.
    """
    return read_message(entry.key, entry.value, Drain)


def drained_nodes(view: View, keys: Keys) -> frozenset[str]:
    """Return the nodes that are marked; what is no mark moves nothing."""
    return frozenset(last_part(entry.key) for entry in view.under(keys.drains) if _is_mark(entry))


def _is_mark(entry: Entry) -> bool:
    try:
        read_drain(entry)
    except BadValue:
        return False
    return True
