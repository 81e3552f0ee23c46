"""The port between the agent and a USB bus, real or simulated.

A bus tells the *whole* set of keys in the node each time, never a difference, so that a lost event heals
itself. This file must not know pyusb, sysfs or a directory of files: only what a key looks like to the rest
of the product.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Literal, Protocol

from licensing.model import KeyBinding, Name, Reading, SignedLicence, Time, Value
from usbwatch.messages import NONCE_SIZE

Assurance = Literal["proven", "copyable"]


class Seen(Value, frozen=True, omit_defaults=True):
    """One key in this node, as far as it has been read.

    `key_id` is the key's own; a key that has not told it (still being read, or unreadable) is named after
    where it is plugged in: `port 1-2`. `licence_file`, `nonce` and `proof` are the evidence, for others to
    judge again. `assurance` is `proven` only when the licence names a device key and this very key proved
    that it holds it; else a copy of the key could not be told from it. `read_by` is there exactly while
    `reading` is PENDING.
    """

    key_id: Name
    reading: Reading
    reason: str = ""
    licence_file: bytes | None = None
    nonce: bytes | None = None
    proof: bytes | None = None
    assurance: Assurance = "copyable"
    read_by: Time | None = None


KeySet = tuple[Seen, ...]


class Judgement(Protocol):
    """What a judge says of a key: its reading, the reason in words, and the licence when it is genuine."""

    @property
    def reading(self) -> Reading:
        """What the key counts as."""

    @property
    def reason(self) -> str:
        """Why, for the operator; empty when all is well."""

    @property
    def signed(self) -> SignedLicence | None:
        """The licence on the key, when its signature was verified."""


Judge = Callable[[str, bytes, bytes | None, bytes | None], Judgement]
"""Called with key_id, blob, nonce, proof; pure."""

NonceSource = Callable[[], bytes]


class Bus(Protocol):
    """The USB bus of one node."""

    def watch(self) -> AsyncIterator[KeySet]:
        """Yield the current set at once, then the whole set again after each change, in order of key id.

        A slow reader skips to the newest set. The iterator ends when the bus is closed, and raises what broke
        the bus.
        """

    async def reread(self) -> None:
        """Read every key again and return when that is done; until then a key keeps its former reading."""

    async def close(self) -> None:
        """Stop watching; nothing is left running."""


def fresh_nonce() -> bytes:
    """Return a nonce that nobody can foresee."""
    return secrets.token_bytes(NONCE_SIZE)


def judged(judge: Judge, key_id: str, blob: bytes, nonce: bytes | None, proof: bytes | None) -> Seen:
    """Return the key as the judge sees it, together with the evidence."""
    verdict = judge(key_id, blob, nonce, proof)
    return Seen(
        key_id=key_id,
        reading=verdict.reading,
        reason=verdict.reason,
        licence_file=blob,
        nonce=nonce,
        proof=proof,
        assurance=_assurance(verdict, proof),
    )


def _assurance(verdict: Judgement, proof: bytes | None) -> Assurance:
    if verdict.reading is not Reading.OK or verdict.signed is None or proof is None:
        return "copyable"
    binding = verdict.signed.licence.binding
    proven = isinstance(binding, KeyBinding) and binding.device_public_key is not None
    return "proven" if proven else "copyable"


def key_set(keys: Iterable[Seen]) -> KeySet:
    """Return the keys in order of id; those that claim the same id become DUPLICATE."""
    found = sorted(keys, key=lambda key: key.key_id)
    count = Counter(key.key_id for key in found)
    return tuple(_duplicate(key, count[key.key_id]) if count[key.key_id] > 1 else key for key in found)


def _duplicate(key: Seen, count: int) -> Seen:
    return Seen(
        key_id=key.key_id,
        reading=Reading.DUPLICATE,
        reason=f"{count} keys in this node claim the identity {key.key_id}: remove all but the genuine one",
    )
