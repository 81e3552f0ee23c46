"""Draining a node: an operator's wish about a node that is about to be serviced, and the coordinator that heeds it.

The wish is no decision about licences and needs no leader: whichever coordinator is told of it writes it. A drained
node's coordinator stands aside, and answers as before.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

from cluster.drain import Drain
from cluster.election import Election
from cluster.keys import Keys
from cluster.mirror import Mirror
from cluster.store import Absent, Condition, CreatedAt, Delete, Entry, Put, Refused, Store, Unavailable, Write
from cluster.values import encode_value
from coordinator.outlook import Outlook
from licensing.ledger import Site
from licensing.value import Time

log = logging.getLogger(__name__)

ATTEMPTS = 5
WISH = "drain"
"""Whose wish it is that a drained node's coordinator stands aside."""
DRAINED = "this node is drained"


class Undrainable(Exception):  # noqa: N818 - it says what the node is
    """A node is not drained now; the text says why."""


class Wish(NamedTuple):
    """What is wished of a node; `force`: also where no other node is there to take its roles over."""

    node: str
    drained: bool
    force: bool = False


async def carry_out(wish: Wish, by: str, at: Time, store: Store, keys: Keys, site: Site) -> bool:
    """Mark the node, or take the mark away; whether that changed anything.

    Raises:
        Undrainable: nobody could take its roles over.
        StoreError
    """
    others = tuple(member for member in site.members if member != wish.node)
    places = (keys.drain(wish.node), *map(keys.drain, others), *map(keys.node, others))
    for _ in range(ATTEMPTS):
        mark, *rest = await store.read(places)
        if (mark is not None) is wish.drained:
            return False
        conditions = _unchanged(keys.drain(wish.node), mark)
        if wish.drained and not wish.force:
            conditions = (*conditions, *_taken_over(others, rest, keys))
        try:
            await store.commit(conditions, [_write(wish, by, at, keys)])
        except Refused:
            continue
        return True
    raise Unavailable("what is stored of the nodes changes all the time")


def _write(wish: Wish, by: str, at: Time, keys: Keys) -> Write:
    key = keys.drain(wish.node)
    return Put(key, encode_value(Drain(by, at))) if wish.drained else Delete(key)


def _unchanged(key: str, entry: Entry | None) -> tuple[Condition, ...]:
    return (Absent(key) if entry is None else CreatedAt(key, entry.create_revision),)


def _taken_over(others: tuple[str, ...], stored: list[Entry | None], keys: Keys) -> tuple[Condition, ...]:
    """Return the conditions under which another node goes on being there; `stored`: their marks, then their reports."""
    if not others:
        raise Undrainable("It is the only node of its site.")
    reasons = []
    for node, mark, report in zip(others, stored[: len(others)], stored[len(others) :], strict=True):
        if mark is not None:
            reasons.append(f"The other node {node} is drained.")
        elif report is None:
            reasons.append(f"The other node {node} cannot be reached: its agent does not report.")
        else:
            return (Absent(keys.drain(node)), CreatedAt(report.key, report.create_revision))
    raise Undrainable(" ".join(reasons))


class StandingAside:
    """The task that lets a drained node's coordinator stand aside, and up again when the wish is taken back."""

    def __init__(self, outlook: Outlook, node: str) -> None:
        self._outlook = outlook
        self._mirror: Mirror = outlook.mirror
        self._election: Election = outlook.election
        self._node = node
        self._able: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Follow the mirror until cancelled."""
        while True:
            seen = self._mirror.version
            if self._mirror.connected:
                self._look()
            await self._mirror.changed(seen)

    def _look(self) -> None:
        """Heed the mark; and where this node leads for want of another, make way for one that has become able to."""
        roles = self._outlook.look().roles
        able = roles.able(self._node)
        if not roles.of(self._node).drained:
            self._election.stand_up(of=WISH)
        elif able - self._able:
            self._election.stand_up(of=WISH)
            self._election.stand_aside(DRAINED, of=WISH)
        else:
            self._election.stand_aside(DRAINED, of=WISH)
        self._able = able
