"""The history of the licensing: immutable records, chained by hash so that an alteration can be found.

Each record holds the hash of the one before it, and the chain's head (how many records there are, and the last one's
hash) is kept apart from them. This file knows no store and no paging.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import Enum
from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.structs import asdict, replace

from licensing import canonical
from licensing.ledger import Restored
from licensing.licence import BuiltIn, KeyBinding, Licence, Quota, SiteBinding
from licensing.status import Validity
from licensing.value import Count, Name, Time, Value

Hash = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]

GENESIS = "0" * 64
"""What the first record has for the hash of the one before it."""


# --- what a record says --------------------------------------------------------------------------------------------


class ManagementType(Enum):
    """What the licence of a record is bound to."""

    USB_KEY = "usb-key"
    REQUEST_KEY = "request-key"
    BUILT_IN = "built-in"


class Unit(Enum):
    """What a licence is counted in."""

    HOSTS = "hosts"
    CPU_SOCKETS = "cpuSockets"
    CPU_CORES = "cpuCores"


class Action(Enum):
    """What happened to the authorisation."""

    INSTALLED = "installed"
    SYNCHRONISED = "synchronised"
    TAKEN_OVER = "taken-over"
    DELETED = "deleted"
    KEY_REMOVED = "key-removed"
    KEY_RETURNED = "key-returned"
    BUFFER_GRANTED = "buffer-granted"
    TRIAL_STARTED = "trial-started"
    TRIAL_ENDED = "trial-ended"
    RESTORED = "restored"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What happened: when (effective time), what, by whom, for which node, and the sentence that says why.

    `status`: the licence's status right after it. `replaced`: id of the licence that this one took the place of.
    """

    at: Time
    action: Action
    status: Validity
    who: str
    node: str
    sentence: str
    replaced: str | None = None


class Content(Value, frozen=True, kw_only=True):
    """What a record says, before it has its place in the chain.

    `upload_date`: when it was recorded. `authorization_method`: the units that the licence is counted in. `item`: the
    edition or service that it authorises.
    """

    upload_date: Time
    management_type: ManagementType
    authorization_method: tuple[Unit, ...]
    item: Name
    quota: Quota
    status: Validity
    issued_date: Time
    expired_date: Time
    key_id: Name | None
    licence_id: Name
    name: Name
    who: str
    node: str
    replaced: Name | None
    action: Action
    sentence: str


class Record(Content, frozen=True, kw_only=True):
    """One row of the history; numbers begin at 0 and leave none out."""

    number: Count
    previous_hash: Hash
    hash: Hash


def content_of(licence: Licence, event: Event) -> Content:
    """Return what is recorded of something that happened to a licence."""
    binding = licence.binding
    return Content(
        upload_date=event.at,
        management_type=_MANAGEMENT[type(binding)],
        authorization_method=_units(licence.quota),
        item=licence.edition.title,
        quota=licence.quota,
        status=event.status,
        issued_date=licence.issued,
        expired_date=licence.expires,
        key_id=binding.key_id if isinstance(binding, KeyBinding) else None,
        licence_id=licence.licence_id,
        name=licence.name,
        who=event.who,
        node=event.node,
        replaced=event.replaced,
        action=event.action,
        sentence=event.sentence,
    )


_MANAGEMENT = {
    KeyBinding: ManagementType.USB_KEY,
    SiteBinding: ManagementType.REQUEST_KEY,
    BuiltIn: ManagementType.BUILT_IN,
}


def _units(quota: Quota) -> tuple[Unit, ...]:
    limits = {Unit.HOSTS: quota.hosts, Unit.CPU_SOCKETS: quota.cpu_sockets, Unit.CPU_CORES: quota.cpu_cores}
    return tuple(unit for unit, limit in limits.items() if limit is not None)


# --- the chain -----------------------------------------------------------------------------------------------------


class ChainHead(Value, frozen=True):
    """How many records there are, which is the number of the next one, and the hash of the last."""

    count: Count = 0
    hash: Hash = GENESIS


class Altered(msgspec.Struct, frozen=True):
    """The number of the first record that is not as it was written, or not there, and how that shows."""

    number: int
    why: str


def append(head: ChainHead, content: Content) -> tuple[Record, ChainHead]:
    """Return the next record of the chain and the head after it."""
    unsealed = Record(**asdict(content), number=head.count, previous_hash=head.hash, hash="")
    record = replace(unsealed, hash=hash_of(unsealed))
    return record, ChainHead(head.count + 1, record.hash)


def hash_of(record: Record) -> str:
    """Return the SHA-256, in hex, of the record's canonical bytes without its member `hash`."""
    facts = msgspec.to_builtins(record)
    del facts["hash"]
    return hashlib.sha256(canonical.encode(facts)).hexdigest()


# --- verification --------------------------------------------------------------------------------------------------


class Walk(msgspec.Struct, frozen=True):
    """How far a verification has come: the chain so far, and whether its last record follows from the one before.

    Where it does not, one of the two was rewritten together with its hash, and the next record tells which: it follows
    from a genuine one. `undecided` means that the next record is waited for; without one the earlier is to blame.
    `losses`: the records that the ledger says were lost, in order; they need not be there.
    """

    chain: ChainHead = ChainHead()
    undecided: bool = False
    losses: tuple[Restored, ...] = ()

    @property
    def in_a_loss(self) -> bool:
        """Whether the next record is one of those that were lost."""
        return any(loss.first <= self.chain.count < loss.end for loss in self.losses)


def verify(records: Iterable[Record], head: ChainHead, losses: tuple[Restored, ...] = ()) -> Altered | None:
    """Return the first record that was altered, is missing or is out of place; None when all are as written.

    Holds one record at a time. Where a run of records was rewritten together with all their hashes, only the last one
    of the run can be told. Records in `losses` may be missing.
    """
    walk = Walk(losses=losses)
    for record in records:
        after = step(walk, record)
        if isinstance(after, Altered):
            return after
        walk = after
    last = past_losses(walk, head.count)
    return last if isinstance(last, Altered) else finish(last, head)


def step(walk: Walk, record: Record) -> Walk | Altered:
    """Take the next record into a verification; one whose place another record is about to take does not count."""
    if any(loss.staged is not None and loss.staged.first <= record.number < loss.end for loss in walk.losses):
        return walk
    reached = past_losses(walk, record.number)
    return reached if isinstance(reached, Altered) else _step(reached, record)


def _step(walk: Walk, record: Record) -> Walk | Altered:
    chain = walk.chain
    follows = record.previous_hash == chain.hash
    if walk.undecided:
        return _rewritten(chain.count, last_is_genuine=follows or record.number != chain.count)
    if record.number != chain.count:
        return Altered(chain.count, f"it is missing: record {record.number} stands in its place")
    if record.hash != hash_of(record):
        return Altered(record.number, "what it says does not match its own hash")
    if not follows and record.number == 0:
        return Altered(0, "it does not begin the chain: records before it were taken away")
    return replace(walk, chain=ChainHead(chain.count + 1, record.hash), undecided=not follows)


def past_losses(walk: Walk, number: int) -> Walk | Altered:
    """Go on behind the records that were lost before the one of this number; the ledger knows where the chain goes on.

    It also knows the hash of the record that stood before them, which no record after it can vouch for any more.
    """
    for loss in walk.losses:
        count = walk.chain.count
        if not loss.first <= count < loss.end <= number:
            continue
        genuine = walk.chain.hash == loss.before if count == loss.first else not walk.undecided
        if walk.undecided:
            return _rewritten(count, last_is_genuine=genuine)
        if not genuine:
            return Altered(count - 1, "it is not the record that was written last before others were lost")
        walk = replace(walk, chain=ChainHead(loss.end, loss.after))
    return walk


def spoilt(walk: Walk, why: str) -> Altered:
    """End a verification at a next record that cannot be read."""
    return _rewritten(walk.chain.count, last_is_genuine=True) if walk.undecided else Altered(walk.chain.count, why)


def finish(walk: Walk, head: ChainHead) -> Altered | None:
    """End a verification after the last record."""
    chain = walk.chain
    if walk.undecided:
        return _rewritten(chain.count, last_is_genuine=chain == head or chain.count != head.count)
    if chain.count < head.count:
        return Altered(chain.count, f"it is missing: there should be {head.count} records")
    if chain.count > head.count:
        return Altered(head.count, f"it was added: there should be {head.count} records")
    if chain.hash != head.hash:
        return Altered(chain.count - 1, "it is not the record that was written last: it was rewritten with its hash")
    return None


def _rewritten(count: int, *, last_is_genuine: bool) -> Altered:
    """Tell which of the last two of `count` records was rewritten."""
    if last_is_genuine:
        return Altered(count - 2, f"record {count - 1} does not follow from it: it was rewritten with its hash")
    return Altered(count - 1, f"it does not follow from record {count - 2}: it was rewritten with its hash")
