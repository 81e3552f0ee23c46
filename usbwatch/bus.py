"""The port between the agent and a USB bus, real or simulated.

A bus tells the *whole* set of keys in the node each time, never a difference, so that a lost event heals
itself. This file must not know pyusb, sysfs or a directory of files: only what a key looks like to the rest
of the product.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Protocol

from licensing.seen import Assurance, Challenge, Reading
from licensing.value import Name, Time, Value


class Seen(Value, frozen=True, omit_defaults=True):
    """One key in this node, as far as it has been read.

    `key_id` is the key's own; a key that has not told it (still being read, or unreadable) is named after
    where it is plugged in: `port 1-2`. `licence_file`, `challenge` and `proof` are the evidence, for others to
    judge again; there is a challenge exactly when there is a proof. `assurance` is `proven` only when the
    licence names a device key and this very key proved that it holds it; else a copy of the key could not be
    told from it. It is None unless the reading is OK. `read_by` is there exactly while `reading` is PENDING.
    """

    key_id: Name
    reading: Reading
    reason: str = ""
    licence_file: bytes | None = None
    challenge: Challenge | None = None
    proof: bytes | None = None
    assurance: Assurance | None = None
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
    def assurance(self) -> Assurance | None:
        """What that is worth; None unless the reading is OK."""


Judge = Callable[[str, bytes, Challenge | None, bytes | None], Judgement]
"""Called with key_id, blob, challenge, proof; pure."""

Challenger = Callable[[], Challenge]
"""Makes a challenge that was never used."""


class Bus(Protocol):
    """The USB bus of one node."""

    @property
    def abandoned(self) -> int:
        """How many processes that read a key could not be ended since the bus was opened; each holds a dead key."""

    def watch(self) -> AsyncIterator[KeySet]:
        """Yield the current set at once, then the whole set again after each change, in order of key id.

        A change of `abandoned` alone makes the same set come again. A slow reader skips to the newest set. The iterator
        ends when the bus is closed, and raises what broke the bus.
        """

    async def reread(self) -> None:
        """Read every key again and return when that is done; until then a key keeps its former reading."""

    async def prove_again(self) -> None:
        """Do the same with those keys alone that gave a proof: its challenge is out of date."""

    async def close(self) -> None:
        """Stop watching; nothing is left running."""


def challenger(site_id: str, epoch: int = 0, index: int = 0) -> Challenger:
    """Return what challenges keys for this site on the strength of that published answer; 0 and 0: of none."""
    return lambda: Challenge(site_id, epoch, index, secrets.token_bytes(32))


def judged(judge: Judge, key_id: str, blob: bytes, challenge: Challenge, proof: bytes | None) -> Seen:
    """Return the key as the judge sees it, together with the evidence."""
    asked = None if proof is None else challenge
    verdict = judge(key_id, blob, asked, proof)
    return Seen(
        key_id=key_id,
        reading=verdict.reading,
        reason=verdict.reason,
        licence_file=blob,
        challenge=asked,
        proof=proof,
        assurance=verdict.assurance,
    )


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
