"""What an agent says about its node, the one message to the coordinator; and the one question that it is asked.

The report is the whole set of what the node sees, never a difference, so a lost event heals itself with the next one.
It carries the raw licence file of every key: the coordinator verifies it again and believes no agent.
"""

from __future__ import annotations

import msgspec

from licensing.ledger_version import NO_LEDGER, LedgerVersion
from licensing.seen import Assurance, Challenge, Reading
from licensing.value import Count, Name, Time, Value

MOST_KEYS = 32
"""In one report; with the limits on texts it keeps the answer, which repeats reports, small enough to store."""


class ReportedKey(Value, frozen=True, omit_defaults=True):
    """One inserted key as the agent read it.

    `licence_file` is what the key holds, `proof` its answer to `challenge`, `assurance` what the agent thinks that is
    worth. `read_by` ends a pending reading.
    """

    key_id: Name
    reading: Reading
    reason: str = ""
    licence_file: bytes | None = None
    challenge: Challenge | None = None
    proof: bytes | None = None
    assurance: Assurance | None = None
    read_by: Time | None = None


class Fingerprint(Value, frozen=True):
    """What identifies the machine: `value`, and in `made_of` the names of the sources that went into it."""

    value: Name
    made_of: tuple[str, ...]


class Reread(Value, frozen=True):
    """A request to an agent to read all USB keys of its node again."""

    id: Name


class Report(Value, frozen=True, omit_defaults=True):
    """Everything one node sees.

    `written_at` is its wall clock, `uptime` its boot-time clock in seconds. `reread`: the id of the last `Reread` that
    was done, so that the keys are as they were after it; empty for none. `abandoned_readers`: processes reading a USB
    key that could not be ended since the agent started. `watches_vip`: whether it looks for a virtual IP at all;
    `contested`: it holds that and has seen that another live report says so too. `serving`: whether it may hold it.
    `ledger`: the newest ledger that was seen by its disk. `version`: that of the agent's software, empty for unknown.
    """

    node: Name
    name: str
    keys: tuple[ReportedKey, ...]
    vip: bool
    fingerprint: Fingerprint
    written_at: Time
    uptime: float = msgspec.field(default=0.0)
    reread: str = ""
    abandoned_readers: Count = 0
    watches_vip: bool = False
    contested: bool = False
    serving: bool = True
    ledger: LedgerVersion = NO_LEDGER
    version: str = ""
