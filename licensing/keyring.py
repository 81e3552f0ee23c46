"""The vendor's public keys that a node trusts, and nothing else: no private key ever comes near this file.

A keyring is pinned on each node by its administrator. A key is named by its own fingerprint, so an entry
cannot claim another key's name. Whether a key counts depends on when a licence was issued, never on what time it
is now: a key that the vendor has retired goes on verifying what it signed in its day, a revoked one verifies
nothing.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from licensing.value import Name, Time, Value

PUBLIC_KEY_BYTES = 32
PURPOSE_LICENCE = "licence"

PublicKey = Annotated[bytes, Meta(min_length=PUBLIC_KEY_BYTES, max_length=PUBLIC_KEY_BYTES)]


class KeyringInvalid(ValueError):  # noqa: N818 - it says what the bytes are
    """The keyring cannot be used; the text says what is wrong with it and where."""


def key_id(public_key: bytes) -> str:
    """Return the name of an Ed25519 public key (32 bytes): the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(public_key).hexdigest()[:16]


class VendorKey(Value, frozen=True, omit_defaults=True):
    """One Ed25519 public key of the vendor: what it may sign, and for which issue dates.

    `valid_until` is exclusive; None means without end. ValueError when the parts contradict each other.
    """

    kid: str
    public_key: PublicKey
    valid_from: Time
    valid_until: Time | None = None
    purpose: Name = PURPOSE_LICENCE
    revoked: bool = False

    def __post_init__(self) -> None:
        if len(self.public_key) != PUBLIC_KEY_BYTES:
            raise ValueError(f"an Ed25519 public key has {PUBLIC_KEY_BYTES} bytes, not {len(self.public_key)}")
        own = key_id(self.public_key)
        if self.kid != own:
            raise ValueError(f"key id {self.kid!r} does not belong to its public key, whose id is {own}")
        if self.valid_until is not None and self.valid_until <= self.valid_from:
            raise ValueError(f"key {self.kid}: validUntil is not later than validFrom")

    def covers(self, issued: dt.datetime) -> bool:
        """Say whether a licence issued then is within this key's window."""
        return self.valid_from <= issued and (self.valid_until is None or issued < self.valid_until)


class Keyring(Value, frozen=True):
    """The pinned keys, at least one, each key id once; ValueError otherwise."""

    keys: tuple[VendorKey, ...]

    def __post_init__(self) -> None:
        if not self.keys:
            raise ValueError("the keyring holds no key")
        seen: set[str] = set()
        for key in self.keys:
            if key.kid in seen:
                raise ValueError(f"the keyring holds key {key.kid} twice")
            seen.add(key.kid)

    def lookup(self, kid: str) -> VendorKey | None:
        """Return the key of that id, revoked or not, or None."""
        return next((key for key in self.keys if key.kid == kid), None)


def parse_keyring(data: bytes) -> Keyring:
    """Decode a keyring file: JSON in any layout, but no unknown or duplicate members.

    Raises:
        KeyringInvalid: with the reason, and what to do.
    """
    try:
        return msgspec.convert(json.loads(data, object_pairs_hook=_members_once), Keyring)
    except (ValueError, RecursionError) as error:  # msgspec, json and UTF-8 errors are all ValueErrors
        raise KeyringInvalid(
            f"not a usable keyring: {error}. Install the keyring.json that came from the vendor."
        ) from error


def render_keyring(keyring: Keyring) -> bytes:
    """Return the keyring as the JSON text that `parse_keyring` reads, indented for people."""
    return msgspec.json.format(msgspec.json.encode(keyring), indent=2) + b"\n"


def _members_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse duplicate members: a second `revoked` could quietly undo the first."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a JSON object names a member twice")
    return members
