"""Which keys are believed to be in which node: from what was reported to what counts.

A node that cannot be reached is not an unplugged key. The keys of a node that stopped reporting still count for a
while; a node of which nothing can be known is unknown, not empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

import msgspec
from msgspec.structs import replace

from licensing.ledger import Ledger
from licensing.policy import Policy
from licensing.seen import InsertedKey, NodeView, Reading, Visibility
from licensing.value import Time


class Presence(msgspec.Struct, frozen=True):
    """What is believed about the site's nodes at one moment.

    `keys`: for every member the keys that count. `pending`: keys still being read. `unknown`: members of which nothing
    can be known. `missing_since`: members that are not reporting now, and when that was first seen; `given_up`: those
    of them whose hold is over; `moved`: keys of their last reports that were seen in another node since.
    """

    keys: Mapping[str, tuple[InsertedKey, ...]]
    pending: tuple[str, ...]
    unknown: tuple[str, ...]
    missing_since: dict[str, Time]
    given_up: tuple[str, ...]
    moved: dict[str, tuple[str, ...]]

    @property
    def readable(self) -> dict[str, InsertedKey]:
        """The inserted keys that work and carry a licence, by key id."""
        return {key.key_id: key for key in self._all() if key.reading is Reading.OK and key.licence is not None}

    @property
    def certain(self) -> bool:
        """Whether nothing is being read and no member is unknown, so that a missing key is known to be missing."""
        return not self.pending and not self.unknown

    def node_of(self, key_id: str) -> str:
        """The node that holds a key, the empty string if none does."""
        return next((node for node, keys in self.keys.items() if any(k.key_id == key_id for k in keys)), "")

    def lost_at(self, node: str, now: Time) -> Time:
        """When a key last seen in this node went: when its node was first seen missing, if that is why; else now."""
        return self.missing_since[node] if node in self.given_up else now

    def counts(self) -> tuple[int, ...]:
        """How many keys each member holds, readable or not."""
        return tuple(len(keys) for keys in self.keys.values())

    def _all(self) -> Iterable[InsertedKey]:
        return (key for keys in self.keys.values() for key in keys)


def observe(views: Sequence[NodeView], ledger: Ledger, now: Time, policy: Policy) -> Presence:
    """Work out which keys count: live reports as they are, held ones for `node_hold`, unknown members by memory."""
    live = {k.key_id for v in views if v.visibility is Visibility.LIVE for k in v.keys}
    missing = {
        v.node: min(ledger.missing_since.get(v.node, now), now) for v in views if v.visibility is Visibility.STALE
    }
    moved = {v.node: gone for v in views if v.node in missing and (gone := _moved(v, ledger, live))}
    given_up = tuple(node for node, since in missing.items() if now - since >= policy.node_hold)
    keys: dict[str, tuple[InsertedKey, ...]] = {}
    for view in views:
        match view.visibility:
            case Visibility.LIVE:
                keys[view.node] = tuple(_overdue(key, now) for key in view.keys)
            case Visibility.STALE if view.node in given_up:
                keys[view.node] = ()
            case Visibility.STALE:
                keys[view.node] = tuple(
                    _abandoned(key) for key in view.keys if key.key_id not in moved.get(view.node, ())
                )
            case Visibility.UNKNOWN:
                keys[view.node] = _remembered(view.node, ledger, live)
    return Presence(
        keys=keys,
        pending=tuple(sorted(k.key_id for ks in keys.values() for k in ks if k.reading is Reading.PENDING)),
        unknown=tuple(v.node for v in views if v.visibility is Visibility.UNKNOWN),
        missing_since=missing,
        given_up=given_up,
        moved=moved,
    )


def resume(ledger: Ledger, dark: timedelta) -> Ledger:
    """Return the ledger after a time in which nobody decided: a site that was wholly off loses nothing.

    The hold of a missing node counts the time in which a leader could have seen it return, so the first sighting of its
    loss is moved by the `dark` time.
    """
    return replace(ledger, missing_since={node: since + dark for node, since in ledger.missing_since.items()})


def _overdue(key: InsertedKey, now: Time) -> InsertedKey:
    """A key that was not read by its deadline is faulty, and so is one that did not prove itself again by its own."""
    if key.reading is Reading.PENDING and key.read_by is not None and now >= key.read_by:
        return InsertedKey(key.key_id, Reading.FAULTY, "it did not answer in time")
    if key.prove_by is not None and now >= key.prove_by:
        return InsertedKey(key.key_id, Reading.FAULTY, "it did not prove itself to the node that leads now")
    return key


def _abandoned(key: InsertedKey) -> InsertedKey:
    """A key whose node went away while it was being read will not be read by it."""
    if key.reading is Reading.PENDING:
        return InsertedKey(key.key_id, Reading.FAULTY, "its node stopped reporting before it was read")
    return key


def _moved(view: NodeView, ledger: Ledger, live: set[str]) -> tuple[str, ...]:
    """The keys of a held report that are, or were since, in another node; they do not come back to this one unseen."""
    gone = {key.key_id for key in view.keys} & (live | set(ledger.moved.get(view.node, ())))
    return tuple(sorted(gone))


def _remembered(node: str, ledger: Ledger, live: set[str]) -> tuple[InsertedKey, ...]:
    """An unknown node is presumed to hold the key in use if that is where the key was last seen."""
    return tuple(
        InsertedKey(key.key_id, Reading.OK, "presumed: its node is unknown", licence=key.signed)
        for key in ledger.keys
        if key.key_id == ledger.in_use and key.node == node and key.out_since is None and key.key_id not in live
    )
