"""The history in the store: what is written for a record, and verification.

Knows nothing of why something is recorded.
"""

from __future__ import annotations

from dataclasses import dataclass

from cluster.keys import Keys, last_part
from cluster.store import Entry, Put, Store
from cluster.values import BadValue, decode_value, encode_value
from licensing.ledger import Restored
from licensing.records import Altered, ChainHead, Record, Walk, finish, past_losses, spoilt, step
from licensing.value import Time

ISSUED, EXPIRED = "issued", "expired"
"""The dates by which the store has an order of the records, beside that of their numbers."""

_BATCH = 200


@dataclass(frozen=True, slots=True)
class BadRecord:
    """What stands on a page in place of a record that cannot be used: its key and why."""

    key: str
    why: str


def index_writes(keys: Keys, record: Record) -> tuple[Put, ...]:
    """Return what stores a record: itself and its places in the orders by date.

    Raises:
        BadValue: the record is too large.
    """
    return (
        Put(keys.record(record.number), encode_value(record)),
        Put(keys.record_by(ISSUED, second_of(record.issued_date), record.number), b""),
        Put(keys.record_by(EXPIRED, second_of(record.expired_date), record.number), b""),
    )


async def verify_stored(store: Store, keys: Keys, head: ChainHead, losses: tuple[Restored, ...] = ()) -> Altered | None:
    """Return the first of the records that the head speaks of that was altered or is missing; None when all are well.

    Reads them all, a few hundred at a time. Read the head first: records added since are not looked at. Those in
    `losses` may be missing.

    Raises:
        StoreError
    """
    walk = Walk(losses=losses)
    for first in range(0, head.count, _BATCH):
        end = min(first + _BATCH, head.count)
        for entry in await store.page(keys.record(first), keys.record(end), _BATCH):
            record = decode_record(entry.key, entry)
            after = spoilt(walk, record.why) if isinstance(record, BadRecord) else step(walk, record)
            if isinstance(after, Altered):
                return after
            walk = after
        if walk.chain.count < end and not walk.in_a_loss:
            break
    last = past_losses(walk, head.count)
    return last if isinstance(last, Altered) else finish(last, head)


async def missing_records(store: Store, keys: Keys, loss: Restored) -> tuple[int, int] | None:
    """Return the numbers of the first and the last record of a loss that are not there; None where all are.

    Raises:
        StoreError
    """
    (part,) = await store.parts([keys.record(loss.first), keys.record(loss.end)])
    first = loss.first + part.count  # a copy of the store ends somewhere: what it lacks is the end
    return (first, loss.end - 1) if first < loss.end else None


def decode_record(key: str, entry: Entry | None) -> Record | BadRecord:
    """Return the record that is stored under a key, or why there is none that can be used."""
    if entry is None:
        return BadRecord(key, "it is missing")
    try:
        record = decode_value(key, entry.value, Record)
    except BadValue as error:
        return BadRecord(key, error.why)
    if last_part(key) != f"{record.number:012d}":
        return BadRecord(key, f"it is record {record.number}, in the place of another")
    return record


def second_of(time: Time) -> int:
    """Return the second since 1970 by which a date is in order; earlier ones count as 0."""
    return max(int(time.timestamp() // 1), 0)
