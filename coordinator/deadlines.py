"""By when USB keys must have been read, and must have proved themselves, on the clock of the leader.

A node's own clock may be wrong, and what it writes may be a lie: how long a key may take counts from when this leader
first heard of it, and has a limit. So a key that is read for ever does not keep the site's state for ever, and a proof
that was recorded under a former leader is worth something only until its key can have been asked again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from msgspec.structs import replace

from licensing.seen import InsertedKey, NodeView, Reading, Visibility
from licensing.value import Time

PROVE_WITHIN = dt.timedelta(seconds=90)
"""How long a USB key may take to prove itself to a leader that has just come to see it."""
READ_WITHIN = dt.timedelta(seconds=120)
"""How long keys of one node may be read at most, whatever the node says: twice the longest deadline of an agent."""
SHORTEST = dt.timedelta(seconds=1)


class Deadlines:
    """What a leader remembers in one term: since when each node reports, and when each reading is over."""

    def __init__(self) -> None:
        self._begin(epoch=0)

    def apply(self, views: Iterable[NodeView], epoch: int, index: int, now: Time) -> tuple[NodeView, ...]:
        """Return the nodes with deadlines of this leader, whose term is `epoch` and whose last answer is `index`.

        The keys of a node that does not report are held as they were: nobody can ask them.
        """
        if epoch != self._epoch:
            self._begin(epoch)
        views = tuple(views)
        self._forget(views)
        return tuple(self._node(view, index, now) if _live(view) else view for view in views)

    def _begin(self, epoch: int) -> None:
        self._epoch = epoch
        self._live: dict[str, Time] = {}
        self._busy: dict[str, Time] = {}
        self._over: dict[tuple[str, str, Time], Time] = {}

    def _forget(self, views: tuple[NodeView, ...]) -> None:
        live = {view.node for view in views if _live(view)}
        busy = {view.node for view in views if _live(view) and any(map(_read_now, view.keys))}
        known = {(view.node, key.key_id, key.read_by) for view in views if _live(view) for key in view.keys}
        self._live = {node: since for node, since in self._live.items() if node in live}
        self._busy = {node: since for node, since in self._busy.items() if node in busy}
        self._over = {reading: over for reading, over in self._over.items() if reading in known}

    def _node(self, view: NodeView, index: int, now: Time) -> NodeView:
        self._live.setdefault(view.node, now)
        return replace(view, keys=tuple(self._key(key, view, index, now) for key in view.keys))

    def _key(self, key: InsertedKey, view: NodeView, index: int, now: Time) -> InsertedKey:
        if key.reading is Reading.PENDING and key.read_by is not None:
            return replace(key, read_by=self._read_by(view, key.key_id, key.read_by, now))
        proved = key.proved
        if proved is None or (proved.epoch == self._epoch and proved.index <= index):
            return key
        return replace(key, prove_by=self._live[view.node] + PROVE_WITHIN)

    def _read_by(self, view: NodeView, key_id: str, said: Time, now: Time) -> Time:
        """Return by when the reading is over: as much later than now as the node's own clock says, within limits."""
        takes = max(said - view.reported_at, SHORTEST) if view.reported_at is not None else SHORTEST
        over = self._over.setdefault((view.node, key_id, said), now + min(takes, READ_WITHIN))
        return min(over, self._busy.setdefault(view.node, now) + READ_WITHIN)


def _live(view: NodeView) -> bool:
    return view.visibility is Visibility.LIVE


def _read_now(key: InsertedKey) -> bool:
    return key.reading is Reading.PENDING
