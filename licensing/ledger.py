"""What is remembered of a site: who it is, and the ledger that leads from one decision to the next.

This file knows the shape of what is remembered; the rules by which it changes are those of `licensing.decide` and
`licensing.install`.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import msgspec
from msgspec import Meta

from licensing.licence import SignedLicence
from licensing.value import Count, Name, Time, Value

MOST = 2**30
"""The highest sequence of a ledger, and the most records, from which is gone on: no site comes so far, and as many
again could be read."""


class KeyState(Enum):
    """The state of the USB key, for the whole site."""

    NONE = "None"
    READY = "Ready"
    MISSING = "Missing"
    ABNORMAL = "Abnormal"
    FAULT = "Fault"


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


class Usage(Value, frozen=True, omit_defaults=True):
    """What the platform said it uses; a unit that is None was never reported."""

    reported_at: Time
    hosts: Count | None = None
    cpu_sockets: Count | None = None
    cpu_cores: Count | None = None
    vms: Count | None = None


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


class Staged(Value, frozen=True):
    """Records of a restored backup that wait in the area of the store that is called so, from the number `first` on."""

    area: Name
    first: Count


class Restored(Value, frozen=True, omit_defaults=True):
    """The store was found older than what had been seen of it, and the newest known ledger was written back.

    The records from `first` to before `end` are lost; the same number twice where none is. `before`, `after`: the hash
    of the last record before them, and that of the last of them. With `staged` they are not lost but on their way: in
    their places are still those of another history, which does not count.
    """

    at: Time
    first: Count
    end: Count
    before: str
    after: str
    staged: Staged | None = None


class Ledger(Value, frozen=True, omit_defaults=True):
    """Everything the law remembers from one decision to the next.

    `in_use`: the key whose licence stands for the site's keys. `missing_since`: when a leader first saw a member
    missing; `moved`: keys of its last report that were seen in another node since. `trial_over`: some licence was
    installed, which ends the trial for good. `lineages`, `spent`: what was installed once, so that nothing older and
    nothing with a used nonce is installed later. `record_count`, `record_hash`: the head of the chain of records.
    `restored`: when the store was put right after it had been restored from an old copy, or by a backup. `lineages`,
    `spent` and `restored` grow with what people do, one by one, and what was lost or used once is never forgotten.
    """

    sequence: Count = 0
    key_state: KeyState = KeyState.NONE
    in_use: str | None = None
    keys: tuple[KeyHistory, ...] = ()
    installed: tuple[SignedLicence, ...] = ()
    missing_since: dict[str, Time] = msgspec.field(default_factory=dict)
    moved: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    trial_over: bool = False
    lineages: tuple[Lineage, ...] = ()
    spent: tuple[Spent, ...] = ()
    record_count: Count = 0
    record_hash: str = ""
    restored: tuple[Restored, ...] = ()
    usage: Usage | None = None
