"""The published answer: what is said of a site's licence, its USB keys and its nodes.

This file knows the shape of the answer; `licensing.describe` makes it.
"""

from __future__ import annotations

from enum import Enum

from licensing.ledger import KeyState
from licensing.licence import Edition, Quota
from licensing.seen import Assurance, Reading, Visibility
from licensing.value import Count, Time, Value


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
    UPGRADE_NEEDED = "upgrade-needed"


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
