"""What is seen of a site: its nodes, and the USB keys that are inserted in them.

This file knows the shape of what is seen, and neither what it means nor how it was read.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Literal

from msgspec import Meta

from licensing.licence import SignedLicence
from licensing.value import Count, Epoch, Index, Name, Time, Value

Assurance = Literal["proven", "copyable"]
"""What a USB key's reading is worth: it proved that it holds its device key, or it is one that can be copied whole."""


class Reading(Enum):
    """What came of reading an inserted key."""

    OK = "ok"
    PENDING = "pending"
    FAULTY = "faulty"
    NOT_GENUINE = "not-genuine"
    DUPLICATE = "duplicate"


class Challenge(Value, frozen=True):
    """What a USB key was asked to sign: `random` (32 bytes), and the answer that was published last at that time."""

    site_id: Name
    epoch: Epoch
    index: Index
    random: Annotated[bytes, Meta(min_length=32, max_length=32)]


class InsertedKey(Value, frozen=True, omit_defaults=True):
    """One key in one node. `licence` is there exactly when `reading` is OK; `read_by` ends a PENDING reading.

    `proved`: the challenge with which a key that has a device key proved itself; `prove_by`: when it counts no more
    unless it has proved itself again, None where nothing is due.
    """

    key_id: Name
    reading: Reading
    reason: str = ""
    licence: SignedLicence | None = None
    read_by: Time | None = None
    proved: Challenge | None = None
    prove_by: Time | None = None


class Visibility(Enum):
    """How much we know about a node just now."""

    LIVE = "live"
    STALE = "stale"
    UNKNOWN = "unknown"


class NodeView(Value, frozen=True, omit_defaults=True):
    """One member of the site as the leader sees it.

    LIVE: its report is under a lease. STALE: it has stopped reporting; `keys` are those of its last report. UNKNOWN:
    it never reported, or its report cannot be decoded; `keys` is empty and `problem` says why. `reported_at` is the
    node's own clock when it wrote the report, `fingerprint` what identifies its machine, `abandoned_readers` how many
    processes that read a USB key could not be ended.
    """

    node: Name
    name: str
    visibility: Visibility
    keys: tuple[InsertedKey, ...] = ()
    vip: bool = False
    problem: str = ""
    reported_at: Time | None = None
    fingerprint: str = ""
    abandoned_readers: Count = 0
