"""What may be stored for a site, as real values: reports, ledgers, answers, views of them, and clocks set by hand.

Knows nothing of the coordinator's tasks; `running` has those.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from cluster.keys import Keys
from cluster.report import Fingerprint, Report, ReportedKey
from cluster.store import Entry, Put, View, Write
from cluster.values import encode_value
from coordinator.clock import EffectiveClock
from coordinator.cycle import Office, Plan, plan
from coordinator.facts import FactReader, Facts
from coordinator.published import Leader, Published
from licensing.envelope import open_licence, seal
from licensing.genuine import nonce_of, proof_message
from licensing.ledger import KeyHistory, Site
from licensing.licence import KeyBinding, Licence, SignedLicence
from licensing.policy import Policy
from licensing.seen import Challenge, Reading
from licensing.value import Time
from tests.unit.licensing.signing import KEYRING, KID, VENDOR, day, licence, private_key, public_key

SITE, A, B = "site-1", "node-a", "node-b"
KEYS = Keys(SITE)
NOW = day("2026-03-01")
TRIAL_START = day("2026-02-20")
POLICY = Policy()
ME = Leader(A, "Node A")

SECOND = dt.timedelta(seconds=1)
DAY = dt.timedelta(days=1)

SITE_VALUE = encode_value(Site(SITE, (A, B), TRIAL_START))
DEVICE = private_key(7)
DEVICE_PUBLIC = public_key(7)
CHALLENGE = Challenge(SITE, 5, 0, bytes(range(32)))


class Hands:
    """The hands of a wall clock and of a boot clock, moved by the test alone."""

    def __init__(self, at: Time = NOW) -> None:
        self.at = at
        self.up = 1000.0

    def wall(self) -> Time:
        """What the wall clock shows."""
        return self.at

    def boot(self) -> float:
        """Seconds since boot."""
        return self.up

    def pass_by(self, time: dt.timedelta) -> None:
        """Let time pass on both."""
        self.at += time
        self.up += time.total_seconds()

    def clock(self) -> EffectiveClock:
        """Return effective time by these hands."""
        return EffectiveClock(self.wall, self.boot)


def sealed(key_id: str = "K1", **changes: Any) -> bytes:
    """Return the licence file of a USB key."""
    return seal(licence(binding=KeyBinding(key_id), **changes), KID, VENDOR)


def signed(file: bytes) -> SignedLicence:
    """Return a licence file as the ledger holds it."""
    return open_licence(file, KEYRING)


def history(key_id: str = "K1", **changes: Any) -> KeyHistory:
    """Return what is remembered of a USB key that serves in node a."""
    return msgspec.structs.replace(KeyHistory(key_id, signed(sealed(key_id)), A), **changes)


def forged(true: SignedLicence, **changes: Any) -> SignedLicence:
    """Return the licence with changes that its file does not have."""
    said: Licence = msgspec.structs.replace(true.licence, **changes)
    return SignedLicence(said, true.file)


def good_key(key_id: str = "K1") -> ReportedKey:
    """Return a key that reads well."""
    return ReportedKey(key_id, Reading.OK, licence_file=sealed(key_id))


def proving_key(challenge: Challenge = CHALLENGE) -> ReportedKey:
    """Return a key whose licence names a device key, with its proof for this challenge."""
    file = seal(licence(binding=KeyBinding("K1", DEVICE_PUBLIC)), KID, VENDOR)
    proof = DEVICE.sign(proof_message("K1", nonce_of(challenge)))
    return ReportedKey("K1", Reading.OK, licence_file=file, challenge=challenge, proof=proof)


def report(node: str, *keys: ReportedKey, **changes: Any) -> Report:
    """Return a node's report."""
    whole = Report(
        node, f"Node {node[-1].upper()}", keys, vip=False, fingerprint=Fingerprint("f", ("x",)), written_at=NOW
    )
    return msgspec.structs.replace(whole, **changes)


def stored_report(node: str, *keys: ReportedKey, **changes: Any) -> bytes:
    """Return a node's report as it is stored."""
    return encode_value(report(node, *keys, **changes))


def view_of(values: Mapping[str, bytes], revision: int = 7) -> View:
    """Return a view in which every key was written at `revision`."""
    entries = {key: Entry(key, value, revision, revision) for key, value in sorted(values.items())}
    return View(revision, MappingProxyType(entries))


def at_rest(**more: bytes) -> dict[str, bytes]:
    """Return what is stored when both nodes report and K1 is in node a; `more` is by the names of `Keys`."""
    values = {
        KEYS.site: SITE_VALUE,
        KEYS.node(A): stored_report(A, good_key()),
        KEYS.node(B): stored_report(B),
        KEYS.last_seen(A): stored_report(A, good_key()),
        KEYS.last_seen(B): stored_report(B),
    }
    return values | {getattr(KEYS, name): value for name, value in more.items()}


def facts_of(view: View) -> Facts:
    """Read a view with a reader that has seen nothing before."""
    return FactReader(KEYS, KEYRING).read(view)


def office(epoch: int = 5, index: int = 0) -> Office:
    """Return node a's office in one term."""
    return Office(KEYS, ME, epoch, index, KEYRING)


def planned(view: View, now: Time = NOW, term: Office | None = None, policy: Policy = POLICY) -> Plan:
    """Plan on a view."""
    return plan(facts_of(view), view, term or office(), now, policy)


def written(writes: tuple[Write, ...]) -> dict[str, bytes]:
    """Return what a plan writes, by key."""
    return {write.key: write.value for write in writes if isinstance(write, Put)}


def publish(values: Mapping[str, bytes], now: Time = NOW, term: Office | None = None) -> dict[str, bytes]:
    """Return what is stored after one publication on top of `values`."""
    return dict(values) | written(planned(view_of(values), now, term).writes)


def published_in(values: Mapping[str, bytes]) -> Published:
    """Return the published answer of stored values."""
    found = facts_of(view_of(values)).published
    assert found is not None
    return found
