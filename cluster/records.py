"""The history in the store: what is written for a record, pages of it in three orders, searching, and verification.

Records are read when somebody asks for them and not kept. Knows nothing of why something is recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cluster.keys import RECORD_NUMBERS, Keys, last_part
from cluster.ranks import STRIDE, Line, locate
from cluster.record_filter import RecordFilter
from cluster.store import Entry, Put, Store
from cluster.values import BadValue, decode_value, encode_value
from licensing.ledger import Restored
from licensing.records import Altered, ChainHead, Record, Walk, finish, past_losses, spoilt, step
from licensing.value import Time

SortBy = Literal["uploadDate", "issuedDate", "expiredDate"]

LARGEST_PAGE = 100
"""Records on one page; their values are read in one call."""

_ISSUED = "issued"
_EXPIRED = "expired"
_LAST_SECOND = 253_402_300_799  # of the year 9999
_BATCH = 200


@dataclass(frozen=True, slots=True)
class BadRecord:
    """What stands on a page in place of a record that cannot be used: its key and why."""

    key: str
    why: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found: the keys of the records that are wanted, in order, and of those that cannot be read."""

    wanted: tuple[str, ...]
    unreadable: tuple[str, ...]


def index_writes(keys: Keys, record: Record) -> tuple[Put, ...]:
    """Return what stores a record: itself and its places in the orders by date.

    Raises:
        BadValue: the record is too large.
    """
    return (
        Put(keys.record(record.number), encode_value(record)),
        Put(keys.record_by(_ISSUED, _second(record.issued_date), record.number), b""),
        Put(keys.record_by(_EXPIRED, _second(record.expired_date), record.number), b""),
    )


class RecordPages:
    """Pages of the history of one site.

    `count`: how many records the ledger knows of; what is stored behind them is no part of the history.
    """

    def __init__(self, store: Store, keys: Keys, count: int = RECORD_NUMBERS) -> None:
        self._store = store
        self._keys = keys
        self._count = count
        self._lines: dict[SortBy, Line] = {
            "uploadDate": _by_number(keys, count),
            "issuedDate": _by_date(keys, _ISSUED),
            "expiredDate": _by_date(keys, _EXPIRED),
        }

    async def page(
        self, start: int, limit: int, sort_by: SortBy = "uploadDate", *, descending: bool = False
    ) -> tuple[tuple[Record | BadRecord, ...], int]:
        """Return up to `limit` records from the `start`-th on (from 0), and how many there are in all.

        Dates are compared in whole seconds; records of the same second are in order of their numbers.

        Raises:
            ValueError: `start` is negative, or `limit` is negative or more than `LARGEST_PAGE`.
            StoreError
        """
        if start < 0 or not 0 <= limit <= LARGEST_PAGE:
            raise ValueError(f"start must be 0 or more and limit from 0 to {LARGEST_PAGE}; they are {start}, {limit}")
        line = self._lines[sort_by]
        if self._count == 0:
            return (), 0
        if sort_by != "uploadDate" and await self._some_behind():
            keys = (await self.find(RecordFilter(), sort_by, descending=descending)).wanted
            return await self.read(keys[start : start + limit]), len(keys)
        whole = await line.whole(self._store)
        size = min(limit, whole.count - start)
        if size <= 0:
            return (), whole.count
        rank = whole.count - start - size if descending else start
        key, skip = await locate(self._store, line, whole, rank)
        entries = (await self._store.page(key, line.key(line.end), skip + size))[skip:]
        found = await self._records(entries, sort_by)
        return (found[::-1] if descending else found), whole.count

    async def find(self, wanted: RecordFilter, sort_by: SortBy = "uploadDate", *, descending: bool = False) -> Found:
        """Look through the whole history, a page at a time, for the records that are wanted.

        Raises:
            StoreError
        """
        line, found, unreadable = self._lines[sort_by], list[str](), list[str]()
        start = line.key(0 if self._count else line.end)
        while entries := await self._store.page(start, line.key(line.end), LARGEST_PAGE):
            start = entries[-1].key + "\0"
            entries = tuple(entry for entry in entries if self._counts(self._record_key(entry, sort_by)))
            keys = self._record_keys(entries, sort_by)
            if wanted.wants_all:
                found += keys
                continue
            stored = entries if sort_by == "uploadDate" or not keys else await self._store.read(keys)
            verdicts = [None if entry is None else wanted.accepts(entry.value) for entry in stored]
            found += [key for key, verdict in zip(keys, verdicts, strict=True) if verdict]
            unreadable += [key for key, verdict in zip(keys, verdicts, strict=True) if verdict is None]
        return Found(tuple(reversed(found) if descending else found), tuple(unreadable))

    async def read(self, keys: Sequence[str]) -> tuple[Record | BadRecord, ...]:
        """Read up to `LARGEST_PAGE` records that a search found.

        Raises:
            StoreError
        """
        return tuple(map(decode_record, keys, await self._store.read(keys))) if keys else ()

    async def _records(self, entries: tuple[Entry, ...], sort_by: SortBy) -> tuple[Record | BadRecord, ...]:
        if sort_by == "uploadDate":
            return tuple(decode_record(entry.key, entry) for entry in entries)
        return await self.read(self._record_keys(entries, sort_by))

    def _record_keys(self, entries: tuple[Entry, ...], sort_by: SortBy) -> list[str]:
        """Return the keys of the records to which the keys of an order lead."""
        return [self._record_key(entry, sort_by) for entry in entries]

    def _record_key(self, entry: Entry, sort_by: SortBy) -> str:
        return entry.key if sort_by == "uploadDate" else self._keys.records + entry.key.rpartition("~")[2]

    def _counts(self, key: str) -> bool:
        """Whether a record is a part of the history."""
        return self._count >= RECORD_NUMBERS or key < self._keys.record(self._count)

    async def _some_behind(self) -> bool:
        """Whether there are records behind those that the ledger knows of; then the orders by date have them too."""
        if self._count >= RECORD_NUMBERS:
            return False
        (behind,) = await self._store.parts((self._keys.record(self._count), self._keys.records_end))
        return behind.count > 0


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


def _by_number(keys: Keys, count: int) -> Line:
    def key(position: int) -> str:
        return keys.record(position) if position < STRIDE else keys.records_end

    return Line(keys.records, key, count)


def _by_date(keys: Keys, date: str) -> Line:
    def key(position: int) -> str:
        return keys.record_by(date, *divmod(position, STRIDE))

    return Line(keys.records_by(date), key, (_LAST_SECOND + 1) * STRIDE)


def _second(time: Time) -> int:
    return int(time.timestamp() // 1)
