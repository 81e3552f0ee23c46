"""Pages of the history in three orders, and searching it: what is shown is as of one moment, and one read of the store.

The ledger is read in the same call as the records, and tells whether they are still those of the history in which
their places were found. Records are not kept; the orders by date are, for whoever turns the pages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cluster.extent import Extent, extent_of, growth
from cluster.keys import RECORD_NUMBERS, Keys
from cluster.record_filter import RecordFilter
from cluster.record_orders import ByDate, ByNumber, RecordOrder, read_by_date, read_by_number
from cluster.records import EXPIRED, ISSUED, BadRecord, decode_record, missing_records, second_of
from cluster.store import Entry, Store
from licensing.records import Record

SortBy = Literal["uploadDate", "issuedDate", "expiredDate"]

LARGEST_READ = 100
"""Records that are read in one call."""

_DATES = {"issuedDate": ISSUED, "expiredDate": EXPIRED}
_ATTEMPTS = 5
_BATCH = 200


class HistoryChanged(Exception):  # noqa: N818 - it says what happened
    """The history is not any more the one of which records were to be read."""


class HistoryMoves(Exception):  # noqa: N818 - it says what happens
    """A backup was restored, and some records are still those of another history."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found in a history: the numbers of the records that are wanted, in order, and of the unreadable."""

    extent: Extent
    wanted: Sequence[int]
    unreadable: Sequence[int]


class RecordPages:
    """Pages of the history of one site.

    An order by date is read when it is first asked for. When the history has grown the new records are taken into it;
    when the history is another one, the order is read anew.
    """

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys
        self._extent: Extent | None = None
        self._by_number = Extent(), ByNumber(())
        self._by_date: dict[SortBy, tuple[Extent, ByDate]] = {}
        self._taking_in = asyncio.Lock()

    async def page(
        self, start: int, limit: int, sort_by: SortBy = "uploadDate", *, descending: bool = False
    ) -> tuple[tuple[Record | BadRecord, ...], int]:
        """Return up to `limit` records from the `start`-th on (from 0), and how many there are in all.

        Dates are compared in whole seconds; records of the same second are in order of their numbers.

        Raises:
            ValueError: `start` or `limit` is negative.
            HistoryChanged: records were added again and again while the page was read.
            HistoryMoves, StoreError
        """
        if start < 0 or limit < 0:
            raise ValueError(f"start and limit must be 0 or more; they are {start}, {limit}")
        for _ in range(_ATTEMPTS):
            extent = self._extent or await self._look()
            order = await self._order(extent, sort_by)
            total = len(order)
            size = max(min(limit, total - start), 0)
            first = total - start - size if descending else start
            numbers = order.part(first, first + size)
            records = await self._read_all(extent, numbers[::-1] if descending else numbers)
            if records is not None:
                return records, total
        raise HistoryChanged

    async def find(self, wanted: RecordFilter, sort_by: SortBy = "uploadDate", *, descending: bool = False) -> Found:
        """Look through the whole history for the records that are wanted.

        Raises:
            HistoryMoves, StoreError
        """
        extent = await self._look()
        order, unreadable = await self._order(extent, sort_by), list[int]()
        if wanted.wants_all:
            found = list(order)
        else:
            accepted, unreadable = await self._search(await self._order(extent, "uploadDate"), wanted)
            found = [number for number in order if number in accepted]
        return Found(extent, found[::-1] if descending else found, unreadable)

    async def read(self, found: Found, numbers: Sequence[int]) -> tuple[Record | BadRecord, ...]:
        """Read up to `LARGEST_READ` records that a search found; records that were added since do not matter.

        Whoever shows none of them reads none, to know that what was found is still so.

        Raises:
            HistoryChanged: what was found is not there any more, but another history.
            HistoryMoves, StoreError
        """
        now, records = await self._read(numbers)
        if now != found.extent and await growth(self._store, self._keys, found.extent, now) is None:
            raise HistoryChanged
        return records

    async def _search(self, order: RecordOrder, wanted: RecordFilter) -> tuple[set[int], list[int]]:
        """Return which records are wanted and which cannot be read, going through them in order of number."""
        accepted, unreadable = set[int](), list[int]()
        for first in range(0, len(order), _BATCH):
            numbers = order.part(first, first + _BATCH)
            start, end = self._keys.record(numbers[0]), self._keys.record(numbers[-1]) + "\0"
            stored = {entry.key: entry.value for entry in await self._store.page(start, end, 2 * _BATCH)}
            for number in numbers:
                value = stored.get(self._keys.record(number))
                verdict = None if value is None else wanted.accepts(value)
                if verdict:
                    accepted.add(number)
                elif verdict is None:
                    unreadable.append(number)
        return accepted, unreadable

    async def _look(self) -> Extent:
        """Read what the history is at the moment."""
        return self._seen((await self._store.read((self._keys.ledger,)))[0])

    async def _read_all(self, extent: Extent, numbers: Sequence[int]) -> tuple[Record | BadRecord, ...] | None:
        """Read records of a history, however many; None when it is not that history any more."""
        found = list[Record | BadRecord]()
        for first in range(0, max(len(numbers), 1), LARGEST_READ):
            now, records = await self._read(numbers[first : first + LARGEST_READ])
            if now != extent:
                return None
            found += records
        return tuple(found)

    async def _read(self, numbers: Sequence[int]) -> tuple[Extent, tuple[Record | BadRecord, ...]]:
        """Read records, and of which history they are."""
        keys = [self._keys.record(number) for number in numbers]
        ledger, *entries = await self._store.read((self._keys.ledger, *keys))
        return self._seen(ledger), tuple(map(decode_record, keys, entries))

    def _seen(self, ledger: Entry | None) -> Extent:
        extent = extent_of(ledger)
        if extent.staged:
            raise HistoryMoves
        self._extent = extent
        return extent

    async def _order(self, extent: Extent, sort_by: SortBy) -> RecordOrder:
        date = _DATES.get(sort_by)
        if extent.record_count == 0:  # the ledger is away: what there is is shown, and nothing is kept of it
            by_number = await read_by_number(self._store, self._keys)
            return by_number if date is None else await read_by_date(self._store, self._keys, date, RECORD_NUMBERS)
        if date is None:
            return await self._numbers(extent)
        async with self._taking_in:
            return await self._dates(extent, sort_by, date)

    async def _numbers(self, extent: Extent) -> ByNumber:
        """Return the order of numbers: they leave none out but those that were lost."""
        known, order = self._by_number
        if known != extent:
            found = [await missing_records(self._store, self._keys, loss) for loss in extent.restored]
            missing = sorted(each for each in found if each is not None)  # a later loss may hold earlier ones
            spans, first = list[range](), 0
            for start, last in missing:
                spans.append(range(first, start))
                first = max(first, last + 1)
            order = ByNumber((*spans, range(first, extent.record_count)))
            self._by_number = extent, order
        return order

    async def _dates(self, extent: Extent, sort_by: SortBy, date: str) -> ByDate:
        """Return an order by date, the one that is kept where it can be brought up to this history."""
        known, order = self._by_date.get(sort_by, (None, ByDate()))
        if known == extent:
            return order
        news = None if known is None else await growth(self._store, self._keys, known, extent)
        if news is None:
            order, news = await read_by_date(self._store, self._keys, date, extent.record_count), ()
        for link in news:
            order.add(second_of(link.issued_date if date == ISSUED else link.expired_date), link.number)
        self._by_date[sort_by] = extent, order
        return order
