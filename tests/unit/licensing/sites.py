"""A site for tests of the law: its nodes as the leader sees them, and a ledger carried from decision to decision."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from licensing.decide import Decision, decide
from licensing.envelope import seal
from licensing.ledger import Ledger, Site
from licensing.licence import KeyBinding, SignedLicence
from licensing.policy import Policy
from licensing.seen import InsertedKey, NodeView, Reading, Visibility
from tests.unit.licensing.signing import KID, VENDOR, day, licence

START = day("2026-02-01")
SECOND, HOUR, DAY = dt.timedelta(seconds=1), dt.timedelta(hours=1), dt.timedelta(days=1)


def signed(key_id: str, **changes: Any) -> SignedLicence:
    """Return a good licence of a USB key, as its file says."""
    told = licence(
        **({"licence_id": key_id, "lineage": key_id, "name": key_id, "binding": KeyBinding(key_id)} | changes)
    )
    return SignedLicence(told, seal(told, KID, VENDOR))


def works(key_id: str, **changes: Any) -> InsertedKey:
    """Return a key that is inserted and works."""
    return InsertedKey(key_id, Reading.OK, licence=signed(key_id, **changes))


def broken(key_id: str) -> InsertedKey:
    """Return a key that is inserted and cannot be read."""
    return InsertedKey(key_id, Reading.FAULTY, "it cannot be read")


def reading(key_id: str, read_by: dt.datetime | None = None) -> InsertedKey:
    """Return a key that is being read."""
    return InsertedKey(key_id, Reading.PENDING, read_by=read_by)


def live(node: str, *keys: InsertedKey) -> NodeView:
    """Return a node that reports."""
    return NodeView(node, node, Visibility.LIVE, keys)


def stale(node: str, *keys: InsertedKey) -> NodeView:
    """Return a node that stopped reporting."""
    return NodeView(node, node, Visibility.STALE, keys)


def unknown(node: str) -> NodeView:
    """Return a node of which nothing can be known."""
    return NodeView(node, node, Visibility.UNKNOWN, problem="It has never reported.")


@dataclass
class Told:
    """A site to which things happen; every call decides with the ledger that the one before left."""

    members: tuple[str, ...] = ("a", "b")
    policy: Policy = field(default_factory=Policy)
    ledger: Ledger = field(default_factory=Ledger)

    def sees(self, after: dt.timedelta, *views: NodeView) -> Decision:
        """Decide on what is seen some time after the site was founded."""
        decision = decide(Site("site-1", self.members, START), views, self.ledger, START + after, self.policy)
        self.ledger = decision.ledger
        return decision
