"""Pages of the history, in every order, and what they show of a history that was tampered with."""

from __future__ import annotations

import datetime as dt
import itertools
import random

import pytest
from msgspec.structs import replace

from cluster.keys import Keys
from cluster.memory import MemoryCluster
from cluster.record_filter import RecordFilter
from cluster.records import LARGEST_PAGE, BadRecord, Found, RecordPages, SortBy, index_writes, verify_stored
from cluster.store import Delete, Put
from cluster.values import encode_value
from licensing.records import ChainHead, Record
from tests.history import BEGINNING, content, history

KEYS = Keys("s")
ORDERS: tuple[SortBy, ...] = ("uploadDate", "issuedDate", "expiredDate")


def spread_history(count: int) -> tuple[list[Record], ChainHead]:
    """Return records whose dates are in no order and partly the same."""
    chance = random.Random(1)  # noqa: S311 - a test that is the same every time
    days = [(chance.randrange(-20_000, 400), chance.randrange(3)) for _ in range(count)]
    dates = [(BEGINNING + dt.timedelta(days=issued), BEGINNING + dt.timedelta(days=long)) for issued, long in days]
    return history([content(n, issued_date=issued, expired_date=end) for n, (issued, end) in enumerate(dates)])


RECORDS, HEAD = spread_history(450)
IN_ORDER = {
    "uploadDate": RECORDS,
    "issuedDate": sorted(RECORDS, key=lambda record: record.issued_date),
    "expiredDate": sorted(RECORDS, key=lambda record: record.expired_date),
}


@pytest.fixture
def cluster() -> MemoryCluster:
    """Return a store that holds the records and their neighbours."""
    cluster = MemoryCluster()
    cluster.apply([Put(KEYS.ledger, b"x"), Put(KEYS.site, b"x")])
    for record in RECORDS:
        cluster.apply(index_writes(KEYS, record))
    return cluster


@pytest.fixture
def pages(cluster: MemoryCluster) -> RecordPages:
    """Return the pages of the records."""
    return RecordPages(cluster.client(), KEYS)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort_by", ORDERS)
async def test_the_pages_together_are_the_history(pages: RecordPages, sort_by: SortBy, descending: bool) -> None:  # noqa: FBT001
    """Page by page everything comes once, in order, with the same total."""
    shown: list[Record | BadRecord] = []
    for start in range(0, 500, 70):
        page, total = await pages.page(start, 70, sort_by, descending=descending)
        shown += page
        assert total == len(RECORDS)
    assert shown == IN_ORDER[sort_by][:: -1 if descending else 1]


async def test_a_page_beyond_the_end_is_empty(pages: RecordPages) -> None:
    """There is nothing to show, and still a total."""
    assert await pages.page(450, 20) == ((), 450)
    assert await pages.page(10**15, 20, "issuedDate", descending=True) == ((), 450)


async def test_a_limit_of_nothing_only_counts(pages: RecordPages) -> None:
    """The total can be had alone."""
    assert await pages.page(0, 0) == ((), 450)


async def test_an_empty_history_has_empty_pages() -> None:
    """Before the first record there is nothing."""
    assert await RecordPages(MemoryCluster().client(), KEYS).page(0, 20, "expiredDate") == ((), 0)


@pytest.mark.parametrize(("start", "limit"), [(-1, 1), (0, -1), (0, LARGEST_PAGE + 1)])
async def test_a_page_has_its_limits(pages: RecordPages, start: int, limit: int) -> None:
    """What would read too much, or makes no sense, is refused."""
    with pytest.raises(ValueError, match="limit from 0 to 100"):
        await pages.page(start, limit)


@pytest.mark.parametrize("sort_by", ORDERS)
async def test_a_record_that_cannot_be_read_is_shown_as_such(cluster: MemoryCluster, sort_by: SortBy) -> None:
    """A spoilt value, and a record in the place of another, take their places on the page with a reason."""
    first, second, third = IN_ORDER[sort_by][:3]
    cluster.apply([Put(KEYS.record(first.number), b"{}"), Put(KEYS.record(second.number), encode_value(third))])
    (bad, misplaced, good), total = await RecordPages(cluster.client(), KEYS).page(0, 3, sort_by)
    assert (bad.key, bool(bad.why)) == (KEYS.record(first.number), True)
    assert (misplaced.key, "in the place of another" in misplaced.why) == (KEYS.record(second.number), True)
    assert (good, total) == (third, 450)


async def test_a_record_that_is_missing_shows_in_the_orders_by_date(cluster: MemoryCluster) -> None:
    """Its place is still there."""
    first = IN_ORDER["issuedDate"][0]
    cluster.apply([Delete(KEYS.record(first.number))])
    (shown,), total = await RecordPages(cluster.client(), KEYS).page(0, 1, "issuedDate")
    assert (shown, total) == (BadRecord(KEYS.record(first.number), "it is missing"), 450)


@pytest.mark.parametrize("descending", [False, True], ids=["up", "down"])
@pytest.mark.parametrize("sort_by", ORDERS)
@pytest.mark.parametrize("count", [0, 1, 301, 450])
async def test_what_is_behind_the_end_is_no_part_of_the_history(
    cluster: MemoryCluster,
    sort_by: SortBy,
    count: int,
    descending: bool,  # noqa: FBT001
) -> None:
    """Pages, totals and searches are those of the records that the ledger knows of, in every order."""
    pages = RecordPages(cluster.client(), KEYS, count)
    known = [record for record in IN_ORDER[sort_by] if record.number < count][:: -1 if descending else 1]
    for start in range(0, 451, 90):
        page = await pages.page(start, 90, sort_by, descending=descending)
        assert page == (tuple(known[start : start + 90]), count)
    assert await pages.page(0, 0, sort_by) == ((), count)
    for wanted in RecordFilter(), RecordFilter(management_type=RECORDS[0].management_type):
        found = await pages.find(wanted, sort_by, descending=descending)
        assert found == Found(tuple(KEYS.record(record.number) for record in known), ())


async def test_records_that_are_missing_leave_the_others_in_their_places(cluster: MemoryCluster) -> None:
    """In the order of numbers a gap shifts what follows, and the last page still ends with the last record."""
    cluster.apply([Delete(KEYS.record(number)) for number in range(100, 300)])
    pages = RecordPages(cluster.client(), KEYS)
    assert await pages.page(149, 2) == ((RECORDS[349], RECORDS[350]), 250)
    assert await pages.page(0, 1, descending=True) == ((RECORDS[449],), 250)


async def test_foreign_keys_are_shown_as_bad_records(cluster: MemoryCluster) -> None:
    """A key that is none of ours does not end in a crash, in whichever order it stands."""
    orders: tuple[tuple[SortBy, int], ...] = (("uploadDate", 0), ("issuedDate", 1), ("expiredDate", 2))
    for sort_by, place in orders:
        first = IN_ORDER[sort_by][0]
        cluster.apply([Put(index_writes(KEYS, first)[place].key + "x", b"x")])
        (good, foreign), total = await RecordPages(cluster.client(), KEYS).page(0, 2, sort_by)
        assert (good, isinstance(foreign, BadRecord), total) == (first, True, 451)


async def test_a_stored_history_verifies(cluster: MemoryCluster) -> None:
    """Nothing is found where nobody touched anything, and records newer than the head are left alone."""
    store = cluster.client()
    assert await verify_stored(store, KEYS, HEAD) is None
    assert await verify_stored(store, KEYS, ChainHead(300, RECORDS[299].hash)) is None
    assert await verify_stored(store, KEYS, ChainHead()) is None


@pytest.mark.parametrize("number", [0, 1, 198, 199, 200, 201, 448, 449])
async def test_the_first_altered_record_is_found_in_the_store(cluster: MemoryCluster, number: int) -> None:
    """Altered, spoilt, misplaced or missing, at the edges of what is read at once too."""
    store = cluster.client()
    altered = encode_value(replace(RECORDS[number], who="x"))
    misplaced = encode_value(RECORDS[number - 1])
    writes = [Put(KEYS.record(number), value) for value in (altered, misplaced, b"{}")] + [Delete(KEYS.record(number))]
    for write in writes:
        cluster.apply([write])
        found = await verify_stored(store, KEYS, HEAD)
        assert found.number == number, write


async def test_a_history_that_was_cut_off_is_found(cluster: MemoryCluster) -> None:
    """The head knows how many records there are."""
    cluster.apply([Delete(KEYS.record(number)) for number in range(200, 450)])
    found = await verify_stored(cluster.client(), KEYS, HEAD)
    assert (found.number, "missing" in found.why) == (200, True)


async def test_everything_of_a_record_is_written_under_one_prefix() -> None:
    """Records and their orders can be left out of what is kept in memory."""
    writes = index_writes(KEYS, RECORDS[7])
    assert [write.key.startswith(KEYS.records) for write in writes] == [True, True, True]
    assert [len(write.value) for write in writes[1:]] == [0, 0]


def test_dates_before_1970_come_first() -> None:
    """A date that no licence has does not break the order of keys."""
    early = replace(RECORDS[0], issued_date=dt.datetime(1900, 1, 1, tzinfo=dt.UTC))
    late = replace(RECORDS[0], issued_date=dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC))
    order = [index_writes(KEYS, record)[1].key for record in (early, RECORDS[0], late)]
    assert order == sorted(order)
    assert all(len(first) == len(second) for first, second in itertools.pairwise(order))
