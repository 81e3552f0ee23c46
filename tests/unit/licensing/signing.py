"""A vendor for tests: one signing key, the keyring that pins it, and licences that need no more than what differs."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from licensing.keyring import Keyring, VendorKey, key_id
from licensing.licence import Edition, KeyBinding, Licence, Quota, SiteBinding


def day(text: str) -> dt.datetime:
    """Return the midnight, UTC, at which a day begins."""
    return dt.datetime.fromisoformat(f"{text}T00:00:00+00:00")


def private_key(seed: int) -> Ed25519PrivateKey:
    """Return the same key pair for the same seed, every time."""
    return Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


def public_key(seed: int) -> bytes:
    """Return the public half of `private_key(seed)`."""
    return private_key(seed).public_key().public_bytes_raw()


VENDOR = private_key(1)
KID = key_id(public_key(1))
PINNED = VendorKey(KID, public_key(1), valid_from=day("2025-01-01"), valid_until=day("2030-01-01"))
KEYRING = Keyring((PINNED,))
AT_SITE = SiteBinding(site_id="site-1", fingerprints=("node-a", "node-b"), nonce="n-1")

_LICENCE = Licence(
    licence_id="L-1",
    lineage="C-1",
    sequence=1,
    product="twinkey",
    name="Müller & Söhne",
    edition=Edition.BASIC_PAID,
    issued=day("2026-01-01"),
    not_before=day("2026-01-01"),
    expires=day("2027-01-01"),
    quota=Quota(hosts=10),
    binding=KeyBinding("K1"),
)


def licence(**changes: Any) -> Licence:
    """Return a good licence but for the changes."""
    return msgspec.structs.replace(_LICENCE, **changes)
