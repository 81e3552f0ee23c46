"""How long one decision of the law takes, on a site that has all that it can have."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator

from licensing.decide import decide
from licensing.envelope import open_licence, seal
from licensing.keyring import Keyring, VendorKey, key_id
from licensing.ledger import KeyHistory, KeyState, Ledger, Lineage, Site, Spent, Usage
from licensing.licence import Edition, KeyBinding, Licence, Quota, SignedLicence, SiteBinding
from licensing.seen import InsertedKey, NodeView, Reading, Visibility
from tests.bench.figures import MICRO, Figure, at_most, percentile
from tests.bench.row import Effort, Row

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # isort: skip

ALLOWED = 200.0
"""Microseconds."""
NODES, KEYS_EACH, ADD_ONS = ("node-a", "node-b"), 4, 3
REMEMBERED = 50
"""Contracts and nonces that a ledger of many years remembers."""
TIMES_PER_SAMPLE = 50
NOW = dt.datetime(2027, 3, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def measure(effort: Effort) -> Iterator[Figure]:
    """Decide again and again."""
    site, views, ledger = scene()
    steady = decide(site, views, ledger, NOW).ledger
    seconds = list[float]()
    for _ in range(TIMES_PER_SAMPLE * effort.samples):
        began = time.perf_counter()
        decide(site, views, steady, NOW)
        seconds.append(time.perf_counter() - began)
    for percent, aim in ((50, at_most(1)), (99, None)):
        yield Figure(f"decide.p{percent}", MICRO * percentile(seconds, percent), "µs", ALLOWED, len(seconds), aim)


def scene() -> tuple[Site, tuple[NodeView, ...], Ledger]:
    """Return a site whose nodes have four keys each, all remembered, with a licence and add-ons installed beside."""
    vendor = Ed25519PrivateKey.generate()
    site = Site("site-1", NODES, NOW - 400 * DAY, request="r", nonces=("n-1", "n-2"))
    names = [(node, f"K-{node}-{number}") for node in NODES for number in range(KEYS_EACH)]
    signed = {name: _signed(vendor, name, KeyBinding(name)) for _, name in names}
    views = tuple(
        NodeView(
            node,
            node,
            Visibility.LIVE,
            tuple(InsertedKey(name, Reading.OK, licence=signed[name]) for at, name in names if at == node),
            vip=node == NODES[0],
            reported_at=NOW,
            fingerprint=node,
        )
        for node in NODES
    )
    binding = SiteBinding(site_id=site.site_id, fingerprints=NODES, nonce="n-1")
    ledger = Ledger(
        sequence=1000,
        key_state=KeyState.ABNORMAL,
        in_use=names[0][1],
        keys=tuple(KeyHistory(name, signed[name], node, last_removal=NOW - 30 * DAY) for node, name in sorted(names)),
        installed=tuple(_signed(vendor, f"L-{number}", binding) for number in range(1 + ADD_ONS)),
        trial_over=True,
        lineages=tuple(Lineage(f"C-{number}", number, NOW - number * DAY) for number in range(REMEMBERED)),
        spent=tuple(Spent(f"n-{number}", f"L-{number}", "0" * 64) for number in range(REMEMBERED)),
        record_count=1000,
        record_hash="0" * 64,
        usage=Usage(NOW, hosts=5, cpu_sockets=10, cpu_cores=100, vms=500),
    )
    return site, views, ledger


def _signed(vendor: Ed25519PrivateKey, name: str, binding: KeyBinding | SiteBinding) -> SignedLicence:
    public = vendor.public_key().public_bytes_raw()
    keyring = Keyring((VendorKey(key_id(public), public, valid_from=NOW - 1000 * DAY),))
    licence = Licence(
        licence_id=name,
        lineage=name,
        sequence=1,
        product="twinkey",
        name=name,
        edition=Edition.ADVANCED_PAID,
        issued=NOW - 100 * DAY,
        not_before=NOW - 100 * DAY,
        expires=NOW + 100 * DAY,
        quota=Quota(hosts=10),
        binding=binding,
    )
    return open_licence(seal(licence, key_id(public), vendor), keyring)


ROW = Row(
    "decide",
    "one decision: 2 nodes, 8 keys, full ledger",
    f"none; allowed are {ALLOWED:g} µs",
    f"≤ {ALLOWED:g} µs",
    measure,
)
