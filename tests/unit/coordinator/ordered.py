"""Orders for tests, and sites that meet them: nodes with fingerprints and virtual IPs, and real licences."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from coordinator.carrying_out import CarriedOut, Scene, carry_out
from coordinator.orders import Errand, Install, Order, Origin, Outcome
from licensing.ledger import Ledger, Site, Usage
from licensing.policy import Policy
from licensing.seen import InsertedKey, NodeView, Visibility
from tests.unit.coordinator.stored import NOW, A, B
from tests.unit.licensing.asked import SITE, asked
from tests.unit.licensing.signing import KEYRING

FRESH = "fresh-1"


def order(errand: Errand, node: str = B, *, console: bool = False, fresh: str = FRESH) -> Order[Errand]:
    """Return an order of the administrator, given to node b."""
    return Order(Origin("admin", node, NOW, console), errand, fresh)


def node(name: str, *keys: InsertedKey, vip: bool = False, **changes: Any) -> NodeView:
    """Return a node that reports, with its own machine."""
    return replace(NodeView(name, name, Visibility.LIVE, keys, vip=vip, fingerprint=name), **changes)


BOTH = (node(A, vip=True), node(B))
"""Both nodes; node a holds the virtual IP."""


def scene(
    views: tuple[NodeView, ...] = BOTH,
    *,
    ledger: Ledger | None = None,
    site: Site = SITE,
    usage: Usage | None = None,
    **policy: Any,
) -> Scene:
    """Return what an order meets."""
    return Scene(site, views, replace(ledger or Ledger(), usage=usage), KEYRING, NOW, Policy(**policy))


def install(*files: bytes, met: Scene | None = None, **origin: Any) -> CarriedOut:
    """Carry out an order to install files."""
    return carry_out(order(Install(files), **origin), met or scene())


def refusal(met: Scene, done: CarriedOut) -> tuple[str, int]:
    """Return why an order was refused, having checked that nothing else changed."""
    assert done.outcome.refused
    assert not done.outcome.changed
    assert done.outcome.hint
    assert (done.site, done.ledger) == (met.site, met.ledger)
    return done.outcome.code, done.outcome.http


def accepted(done: CarriedOut) -> Outcome:
    """Return the outcome of an order that was not refused."""
    assert (done.outcome.http, done.outcome.code) == (200, ""), done.outcome
    return done.outcome


def licensed() -> Scene:
    """Return a site on which a first licence is installed."""
    done = install(asked().file)
    return scene(ledger=done.ledger, site=done.site)
