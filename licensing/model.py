"""The words of the licensing domain as frozen values.

This file knows the shape of things and no rule. Times are aware datetimes in UTC. Every value can be encoded with
`licensing.canonical`; member names in JSON are camelCase, as in the platform's own API.
"""

from __future__ import annotations

import datetime as dt
from enum import Enum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

Time = Annotated[dt.datetime, Meta(tz=True)]
Name = Annotated[str, Meta(min_length=1, max_length=256)]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Epoch = Annotated[int, Meta(ge=0, le=2**62)]
"""A revision of the store, which counts in 64 bits: the one that made a leader, 0 for none."""
Index = Annotated[int, Meta(ge=0, le=2**53 - 1)]
"""Counts published answers; what every JSON reader can count to."""
Assurance = Literal["proven", "copyable"]
"""What a USB key's reading is worth: it proved that it holds its device key, or it is one that can be copied whole."""


class Value(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Base of every value that is stored or sent: immutable, strict, camelCase in JSON."""


# --- editions, quota and usage -------------------------------------------------------------------------------------


class Edition(Enum):
    """The three licensing agreements."""

    BASIC_TRIAL = "basic-trial"
    BASIC_PAID = "basic-paid"
    ADVANCED_PAID = "advanced-paid"

    @property
    def title(self) -> str:
        """The agreement's name as the platform shows it."""
        return _EDITION_TITLES[self]


_EDITION_TITLES = {
    Edition.BASIC_TRIAL: "Basic Edition - Trial",
    Edition.BASIC_PAID: "Basic Edition - Paid",
    Edition.ADVANCED_PAID: "Advanced Edition - Paid",
}


class Quota(Value, frozen=True, omit_defaults=True):
    """What a licence covers; a unit that is None is unlimited."""

    hosts: Count | None = None
    cpu_sockets: Count | None = None
    cpu_cores: Count | None = None


class Usage(Value, frozen=True, omit_defaults=True):
    """What the platform said it uses; a unit that is None was never reported."""

    reported_at: Time
    hosts: Count | None = None
    cpu_sockets: Count | None = None
    cpu_cores: Count | None = None
    vms: Count | None = None


# --- licences ------------------------------------------------------------------------------------------------------


class KeyBinding(Value, frozen=True, tag_field="kind", tag="usb-key", omit_defaults=True):
    """The licence belongs to one USB key; `device_public_key` (32 bytes, Ed25519) where the key can prove itself."""

    key_id: Name
    device_public_key: Annotated[bytes, Meta(min_length=32, max_length=32)] | None = None


class SiteBinding(Value, frozen=True, tag_field="kind", tag="request-key"):
    """The licence belongs to one site, asked for with a request code."""

    site_id: Name
    fingerprints: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=8)]
    nonce: Name


class BuiltIn(Value, frozen=True, tag_field="kind", tag="built-in"):
    """The trial, which no file carries."""


Binding = KeyBinding | SiteBinding | BuiltIn


class Licence(Value, frozen=True, omit_defaults=True):
    """What the vendor signs.

    `lineage` names the contract that a licence continues and `sequence` its place in it: within a lineage the higher
    (sequence, issued) replaces the lower.
    """

    licence_id: Name
    lineage: Name
    sequence: Count
    product: Name
    name: Name
    edition: Edition
    issued: Time = msgspec.field(name="issuedDate")
    not_before: Time = msgspec.field(name="notBeforeDate")
    expires: Time = msgspec.field(name="expiredDate")
    quota: Quota
    binding: Binding
    service_expires: Time | None = msgspec.field(name="serviceExpiredDate", default=None)


class SignedLicence(Value, frozen=True, omit_defaults=True):
    """A licence together with the very bytes whose signature was verified.

    `uploaded_at`, `node`, `who`: when it was installed, for which node and by whom; empty for what is only carried.
    """

    licence: Licence
    file: bytes
    uploaded_at: Time | None = None
    node: str = ""
    who: str = ""


# --- what is seen --------------------------------------------------------------------------------------------------


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


# --- what is remembered --------------------------------------------------------------------------------------------


class KeyState(Enum):
    """The state of the USB key, for the whole site."""

    NONE = "None"
    READY = "Ready"
    MISSING = "Missing"
    ABNORMAL = "Abnormal"
    FAULT = "Fault"


class KeyHistory(Value, frozen=True, omit_defaults=True):
    """What is remembered of one USB key that was in use.

    `out_since`: since when it has been out of service (pulled, unreadable, or the site in Fault); None while it serves.
    `last_removal`: the beginning of its most recent settled removal. `buffer_until`: the uncapped end of the last
    buffer it was granted. `node`: where it was last seen. `pending`: a newer licence, whose time has not come.
    """

    key_id: Name
    signed: SignedLicence
    node: str = ""
    out_since: Time | None = None
    last_removal: Time | None = None
    buffer_until: Time | None = None
    pending: SignedLicence | None = None


class Site(Value, frozen=True, omit_defaults=True):
    """The site's stored identity: its members are stored, not inferred from reports.

    `request`: the request code that is given out, `nonces`: those of the last request codes, the newest last; a licence
    that was asked for with any of them can be installed.
    """

    site_id: Name
    members: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=2)]
    trial_start: Time
    request: str = ""
    nonces: tuple[str, ...] = ()


class Lineage(Value, frozen=True):
    """The newest licence that was ever installed of a contract; an older one is refused even after a deletion."""

    lineage: Name
    sequence: Count
    issued: Time


class Spent(Value, frozen=True):
    """A nonce that a licence was installed with; only that very licence may use it again."""

    nonce: str
    licence_id: str
    file_sha256: str


class Restored(Value, frozen=True):
    """The store was found older than what had been seen of it, and the newest known ledger was written back.

    The records from `first` to before `end` are lost; the same number twice where none is. `before`, `after`: the hash
    of the last record before them, and that of the last of them.
    """

    at: Time
    first: Count
    end: Count
    before: str
    after: str


class Ledger(Value, frozen=True, omit_defaults=True):
    """Everything the law remembers from one decision to the next.

    `in_use`: the key whose licence stands for the site's keys. `missing_since`: when a leader first saw a member
    missing; `moved`: keys of its last report that were seen in another node since. `trial_over`: some licence was
    installed, which ends the trial for good. `lineages`, `spent`: what was installed once, so that nothing older and
    nothing with a used nonce is installed later. `record_count`, `record_hash`: the head of the chain of records.
    `restored`: when the store was put right after it had been restored from an old copy. `lineages`, `spent` and
    `restored` grow with what people do, one by one, and are never shortened: what is forgotten could come back.
    """

    sequence: Count = 0
    key_state: KeyState = KeyState.NONE
    in_use: str | None = None
    keys: tuple[KeyHistory, ...] = ()
    installed: tuple[SignedLicence, ...] = ()
    missing_since: dict[str, Time] = {}
    moved: dict[str, tuple[str, ...]] = {}
    trial_over: bool = False
    lineages: tuple[Lineage, ...] = ()
    spent: tuple[Spent, ...] = ()
    record_count: Count = 0
    record_hash: str = ""
    restored: tuple[Restored, ...] = ()
    usage: Usage | None = None


# --- what is answered ----------------------------------------------------------------------------------------------


class Alert(Enum):
    """What an operator is told about, in the order in which it is shown."""

    EXPIRING = "expiring"
    SERVICE_EXPIRING = "service-expiring"
    EXPIRED = "expired"
    QUOTA_EXCEEDED = "quota-exceeded"
    KEY_MISSING = "key-missing"
    KEY_ABNORMAL = "key-abnormal"
    KEY_FAULT = "key-fault"
    CLONE_SUSPECTED = "clone-suspected"
    BUFFER_ENDING = "buffer-ending"
    CLOCK_ROLLBACK = "clock-rollback"
    CLOCK_QUARANTINED = "clock-quarantined"
    STORE_RESTORED = "store-restored"
    VIP_CONFLICT = "vip-conflict"


class Validity(Enum):
    """The two statuses of a licence."""

    VALID = "Valid"
    EXPIRED = "Expired"


class LicenceStatus(Value, frozen=True):
    """The licence in force; all but `status` are None when there is none. `expires` is the licence's own expiry."""

    name: str | None
    status: Validity
    expires: Time | None
    edition: Edition | None
    source: str | None
    key_id: str | None
    issued: Time | None
    service_expires: Time | None


class BufferStatus(Value, frozen=True):
    """The buffer licence that stands in for the licence in force; `expires` may be in the past."""

    expires: Time


class KeyStatus(Value, frozen=True):
    """One inserted key as shown to people; `assurance` is None while its reading is not OK."""

    key_id: str
    reading: Reading
    reason: str
    assurance: Assurance | None = None


class NodeStatus(Value, frozen=True):
    """One member of the site as shown to people. `reachable`: its report is live."""

    management_node_uuid: str
    name: str
    reachable: bool
    visibility: Visibility
    vip: bool
    ukeys: tuple[KeyStatus, ...]
    problem: str
    reported_at: Time | None
    abandoned_readers: Count = 0


class UsageStatus(Value, frozen=True):
    """The usage last reported; `stale` when that is more than a day ago."""

    hosts: int | None
    cpu_sockets: int | None
    cpu_cores: int | None
    vms: int | None
    reported_at: Time
    stale: bool


class Banner(Value, frozen=True):
    """One sentence for the top of the platform's pages. `redirect`: take people to licence management after login."""

    level: str
    text: str
    redirect: bool


class Status(Value, frozen=True):
    """The published answer, before the site adds who leads and how fresh it is.

    `key_state_reason` explains the key state in a sentence; `reasons` explains everything that is not as it should be.
    """

    key_state: KeyState
    key_state_reason: str
    license: LicenceStatus
    buffer: BufferStatus | None
    alerts: tuple[Alert, ...]
    restricted: bool
    start_allowed: bool
    banner: Banner | None
    nodes: tuple[NodeStatus, ...]
    usage: UsageStatus | None
    quota: Quota | None
    reasons: tuple[str, ...]
