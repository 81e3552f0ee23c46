"""Pages of the history, in every order: of one moment, whatever becomes of the history, and little is read for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest
from msgspec.structs import replace

from cluster.memory import MemoryCluster, MemoryStore
from cluster.record_filter import RecordFilter
from cluster.record_pages import HistoryChanged, HistoryMoves, RecordPages, SortBy
from cluster.records import BadRecord, index_writes
from cluster.store import Delete, Entry, Put, Unavailable
from cluster.values import encode_value
from licensing.ledger import MOST, Restored, Staged
from licensing.records import GENESIS, ChainHead, ManagementType, Record, append
from tests.history import BEGINNING, content, history
from tests.unit.cluster.spread_records import HEAD, KEYS, RECORDS, fill, ledger_of, spread_contents
from tests.waiting import eventually

ORDERS: tuple[SortBy, ...] = ("uploadDate", "issuedDate", "expiredDate")
DATES = ORDERS[1:]
ALL = RecordFilter()
USB = RecordFilter(management_type=ManagementType.USB_KEY)


def in_order(records: Sequence[Record], sort_by: SortBy) -> list[Record]:
    """Return records as a page shows them; those of one second in order of number."""
    if sort_by == "uploadDate":
        return list(records)
    return sorted(records, key=lambda each: each.issued_date if sort_by == "issuedDate" else each.expired_date)


class Counting(MemoryStore):
    """A client that knows how often it read, and before a read lets something happen once.

    `orders`: reads of an order by date. `entries`: what was read of records.
    """

    def __init__(self, cluster: MemoryCluster) -> None:
        super().__init__(cluster)
        self.calls = self.orders = self.entries = 0
        self.meanwhile: list[Callable[[], None]] = []

    async def page(self, start: str, end: str, limit: int) -> tuple[Entry, ...]:
        """Read, and count."""
        self.calls += 1
        self.orders += "~" in start
        await asyncio.sleep(0)  # as every real store lets others go on
        found = await super().page(start, end, limit)
        self.entries += len(found)
        return found

    async def read(self, keys: Sequence[str]) -> tuple[Entry | None, ...]:
        """Read after what happens meanwhile, and count."""
        if self.meanwhile and len(keys) > 1:
            self.meanwhile.pop(0)()
        self.calls += 1
        self.entries += len(keys) - 1
        return await super().read(keys)


@pytest.fixture
def cluster() -> MemoryCluster:
    """Return a store that holds the records and their neighbours."""
    cluster = MemoryCluster()
    cluster.apply([Put(KEYS.site, b"x"), Put(KEYS.usage, b"x")])
    fill(cluster, RECORDS)
    return cluster


@pytest.fixture
def store(cluster: MemoryCluster) -> Counting:
    """Return a client that counts."""
    return Counting(cluster)


@pytest.fixture
def pages(store: Counting) -> RecordPages:
    """Return the pages of the records."""
    return RecordPages(store, KEYS)


async def shown(pages: RecordPages, sort_by: SortBy) -> list[Record | BadRecord]:
    """Return all that the pages show together, each of which has the same total."""
    first, total = await pages.page(0, 170, sort_by)
    found = list(first)
    while len(found) < total:
        more, total_then = await pages.page(len(found), 170, sort_by)
        assert (total_then, bool(more)) == (total, True)
        found += more
    return found


# --- a history that rests ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort_by", ORDERS)
async def test_the_pages_together_are_the_history(pages: RecordPages, sort_by: SortBy, descending: bool) -> None:  # noqa: FBT001
    """Page by page everything comes once, in order, with the same total."""
    shown: list[Record | BadRecord] = []
    for start in range(0, 500, 70):
        page, total = await pages.page(start, 70, sort_by, descending=descending)
        shown += page
        assert total == len(RECORDS)
    assert shown == in_order(RECORDS, sort_by)[:: -1 if descending else 1]


@pytest.mark.parametrize("sort_by", ORDERS)
async def test_a_page_may_be_as_long_as_the_history(pages: RecordPages, sort_by: SortBy) -> None:
    """It is read in several calls."""
    assert await pages.page(0, 1000, sort_by) == (tuple(in_order(RECORDS, sort_by)), 450)


async def test_a_page_beyond_the_end_is_empty(pages: RecordPages) -> None:
    """There is nothing to show, and still a total."""
    assert await pages.page(450, 20) == ((), 450)
    assert await pages.page(10**15, 20, "issuedDate", descending=True) == ((), 450)


async def test_a_limit_of_nothing_only_counts(pages: RecordPages) -> None:
    """The total can be had alone."""
    assert await pages.page(0, 0) == ((), 450)


@pytest.mark.parametrize(("start", "limit"), [(-1, 1), (0, -1)])
async def test_a_page_has_its_limits(pages: RecordPages, start: int, limit: int) -> None:
    """What makes no sense is refused."""
    with pytest.raises(ValueError, match="must be 0 or more"):
        await pages.page(start, limit)


@pytest.mark.parametrize("sort_by", ORDERS)
async def test_a_page_costs_one_call_when_the_history_is_known(
    store: Counting, pages: RecordPages, sort_by: SortBy
) -> None:
    """Nothing is read but what is shown, wherever it stands."""
    await pages.page(0, 1, sort_by)
    store.calls = store.entries = 0
    await pages.page(300, 20, sort_by, descending=True)
    assert (store.calls, store.entries) == (1, 20)


async def test_without_an_order_by_date_none_is_read(store: Counting, pages: RecordPages) -> None:
    """Who turns pages by number waits for nothing."""
    await pages.page(200, 20)
    assert (store.calls, store.entries) == (2, 20)


async def test_an_order_is_read_once_for_all_that_ask_at_once(store: Counting, pages: RecordPages) -> None:
    """The others wait for it."""
    await pages.page(0, 1, "issuedDate")
    once = store.orders
    several = await asyncio.gather(*(pages.page(start, 5, "expiredDate") for start in range(20)))
    assert store.orders == 2 * once
    assert several == [(tuple(in_order(RECORDS, "expiredDate")[n : n + 5]), 450) for n in range(20)]


async def test_who_does_not_wait_for_an_order_leaves_it_to_the_next(store: Counting, pages: RecordPages) -> None:
    """Neither a caller that goes away nor a store that fails in the middle leaves half an order behind."""
    going = asyncio.create_task(pages.page(0, 1, "issuedDate"))
    await eventually(lambda: store.orders > 0)
    going.cancel()
    store.cluster.offline()
    with pytest.raises(Unavailable):
        await pages.page(0, 1, "issuedDate")
    store.cluster.online()
    assert await shown(pages, "issuedDate") == in_order(RECORDS, "issuedDate")


# --- what cannot be read -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sort_by", ORDERS)
async def test_a_record_that_cannot_be_read_is_shown_as_such(cluster: MemoryCluster, sort_by: SortBy) -> None:
    """A spoilt value, and a record in the place of another, take their places on the page with a reason."""
    first, second, third = in_order(RECORDS, sort_by)[:3]
    cluster.apply([Put(KEYS.record(first.number), b"{}"), Put(KEYS.record(second.number), encode_value(third))])
    (bad, misplaced, good), total = await RecordPages(cluster.client(), KEYS).page(0, 3, sort_by)
    assert (bad.key, bool(bad.why)) == (KEYS.record(first.number), True)
    assert (misplaced.key, "in the place of another" in misplaced.why) == (KEYS.record(second.number), True)
    assert (good, total) == (third, 450)


@pytest.mark.parametrize("sort_by", ORDERS)
async def test_a_record_that_is_missing_shows(cluster: MemoryCluster, pages: RecordPages, sort_by: SortBy) -> None:
    """Its place is still there, in every order, and a search counts it as one that cannot be read."""
    first = in_order(RECORDS, sort_by)[0]
    cluster.apply([Delete(KEYS.record(first.number))])
    (seen,), total = await pages.page(0, 1, sort_by)
    assert (seen, total) == (BadRecord(KEYS.record(first.number), "it is missing"), 450)
    found = await pages.find(USB, sort_by)
    assert (len(found.wanted), found.unreadable) == (449, [first.number])


@pytest.mark.parametrize("sort_by", ORDERS)
async def test_keys_of_others_do_not_count(cluster: MemoryCluster, pages: RecordPages, sort_by: SortBy) -> None:
    """A key that is none of ours neither is shown nor ends in a crash."""
    for written in index_writes(KEYS, RECORDS[100]):
        cluster.apply([Put(written.key + "x", b"x"), Put(written.key[:-1], b"x"), Put(written.key[:-1] + "x", b"x")])
    assert await pages.page(0, 500, sort_by) == (tuple(in_order(RECORDS, sort_by)), 450)
    assert (await pages.find(USB, sort_by)).unreadable == []


@pytest.mark.parametrize("descending", [False, True], ids=["up", "down"])
@pytest.mark.parametrize("sort_by", ORDERS)
@pytest.mark.parametrize("count", [1, 301, 450])
async def test_what_is_behind_the_end_is_no_part_of_the_history(
    cluster: MemoryCluster,
    pages: RecordPages,
    sort_by: SortBy,
    count: int,
    descending: bool,  # noqa: FBT001
) -> None:
    """Pages, totals and searches are those of the records that the ledger knows of, in every order."""
    cluster.apply([ledger_of(ChainHead(count, RECORDS[count - 1].hash))])
    known = in_order(RECORDS[:count], sort_by)[:: -1 if descending else 1]
    for start in range(0, 451, 90):
        page = await pages.page(start, 90, sort_by, descending=descending)
        assert page == (tuple(known[start : start + 90]), count)
    assert await pages.page(0, 0, sort_by) == ((), count)
    for wanted in ALL, USB:
        found = await pages.find(wanted, sort_by, descending=descending)
        assert (found.wanted, found.unreadable) == ([record.number for record in known], [])


LEDGERS = {
    "missing": Delete(KEYS.ledger),
    "without a record": ledger_of(ChainHead(0, "")),
    "spoilt": Put(KEYS.ledger, b"x"),
    "newer": Put(KEYS.ledger, ledger_of(HEAD).value.replace(b'"version":1', b'"version":2')),
    "of more records than there can be": ledger_of(ChainHead(MOST + 1, HEAD.hash)),
}


@pytest.mark.parametrize("sort_by", ORDERS)
@pytest.mark.parametrize("ledger", LEDGERS.values(), ids=LEDGERS)
async def test_without_a_ledger_all_there_is_shows(
    cluster: MemoryCluster, pages: RecordPages, ledger: Put | Delete, sort_by: SortBy
) -> None:
    """Nobody knows how much of it is the history; gaps cannot be told from what never was."""
    cluster.apply([ledger, *(Delete(put.key) for record in RECORDS[100:103] for put in index_writes(KEYS, record))])
    there = in_order(RECORDS[:100] + RECORDS[103:], sort_by)
    assert await pages.page(0, 500, sort_by) == (tuple(there), 447)
    assert (await pages.find(USB, sort_by)).wanted == [record.number for record in there]


@pytest.mark.parametrize("sort_by", ORDERS)
async def test_an_empty_history_has_empty_pages(sort_by: SortBy) -> None:
    """Before the first record there is nothing."""
    assert await RecordPages(MemoryCluster().client(), KEYS).page(0, 20, sort_by) == ((), 0)


LOST = (
    Restored(BEGINNING, 50, 50, RECORDS[49].hash, RECORDS[49].hash),
    Restored(BEGINNING, 100, 300, RECORDS[99].hash, RECORDS[299].hash),
    Restored(BEGINNING, 350, 360, RECORDS[349].hash, RECORDS[359].hash),
)


@pytest.mark.parametrize("descending", [False, True], ids=["up", "down"])
@pytest.mark.parametrize("sort_by", ORDERS)
async def test_records_that_were_lost_leave_no_gap(
    cluster: MemoryCluster,
    pages: RecordPages,
    sort_by: SortBy,
    descending: bool,  # noqa: FBT001
) -> None:
    """What the ledger says is lost is not counted, as far as it is not there, and what follows moves up."""
    cluster.apply([ledger_of(HEAD, *LOST)])
    for record in RECORDS[110:300] + RECORDS[350:360]:
        cluster.apply([Delete(put.key) for put in index_writes(KEYS, record)])
    there = in_order(RECORDS[:110] + RECORDS[300:350] + RECORDS[360:], sort_by)[:: -1 if descending else 1]
    for start in range(0, 260, 30):
        page = await pages.page(start, 30, sort_by, descending=descending)
        assert page == (tuple(there[start : start + 30]), 250)
    found = await pages.find(USB, sort_by, descending=descending)
    assert (found.wanted, found.unreadable) == ([record.number for record in there], [])


@pytest.mark.parametrize("sort_by", ORDERS)
async def test_a_loss_that_holds_earlier_ones_leaves_no_gap(
    cluster: MemoryCluster, pages: RecordPages, sort_by: SortBy
) -> None:
    """Where etcd is empty later on, all that there was is lost after what was lost of it before."""
    cluster.apply([ledger_of(HEAD, *LOST, Restored(BEGINNING, 0, 440, GENESIS, RECORDS[439].hash))])
    for record in RECORDS[:440]:
        cluster.apply([Delete(put.key) for put in index_writes(KEYS, record)])
    assert await pages.page(0, 500, sort_by) == (tuple(in_order(RECORDS[440:], sort_by)), 10)
    found = await pages.find(USB, sort_by)
    assert (found.wanted, found.unreadable) == ([record.number for record in in_order(RECORDS[440:], sort_by)], [])


# --- a history that changes ----------------------------------------------------------------------------------------


def other_history(count: int, same: int = 0) -> list[Record]:
    """Return a history of which the first records are ours."""
    return history(spread_contents(450)[:same] + spread_contents(count, seed=2)[same:])[0]


@pytest.mark.parametrize("sort_by", DATES)
async def test_new_records_are_taken_into_an_order(
    cluster: MemoryCluster, store: Counting, pages: RecordPages, sort_by: SortBy
) -> None:
    """The order is not read again, also where what is new cannot be shown here, as a newer version wrote it."""
    fill(cluster, RECORDS[:210])
    await pages.page(0, 1, sort_by)
    store.orders = 0
    fill(cluster, RECORDS[:211])
    newer = encode_value(RECORDS[211]).replace(b'{"action":"installed"', b'{"action":"lent","again":1')
    cluster.apply([*index_writes(KEYS, RECORDS[211])[1:], Put(KEYS.record(211), newer)])
    cluster.apply([ledger_of(ChainHead(212, RECORDS[211].hash))])
    found = await shown(pages, sort_by)
    order = [record.number for record in in_order(RECORDS[:212], sort_by)]
    assert [int(each.key[-12:]) if isinstance(each, BadRecord) else each.number for each in found] == order
    assert [isinstance(each, BadRecord) for each in found].index(True) == order.index(211)
    fill(cluster, RECORDS)
    assert await shown(pages, sort_by) == in_order(RECORDS, sort_by)
    assert store.orders == 0


OTHERS = {
    "as long": other_history(450),
    "longer, of which the last known record is another": other_history(470, same=400),
    "shorter": RECORDS[:300],
    "shorter and another": other_history(300, same=200),
}


@pytest.mark.parametrize("sort_by", ORDERS)
@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
async def test_another_history_is_read_anew(
    cluster: MemoryCluster, pages: RecordPages, other: list[Record], sort_by: SortBy
) -> None:
    """Whatever was put in the place of the store, nothing of what was known of it shows."""
    await pages.page(0, 20, sort_by)
    for record in RECORDS:
        cluster.apply([Delete(put.key) for put in index_writes(KEYS, record)])
    fill(cluster, other)
    assert await shown(pages, sort_by) == in_order(other, sort_by)


@pytest.mark.parametrize("sort_by", DATES)
async def test_records_that_only_the_ledger_counts_are_not_looked_for(
    cluster: MemoryCluster, store: Counting, pages: RecordPages, sort_by: SortBy
) -> None:
    """After the first that is not there no other is, whatever number of them a damaged ledger has."""
    await pages.page(0, 1, sort_by)
    once, store.calls = store.calls, 0
    cluster.apply([ledger_of(ChainHead(MOST, HEAD.hash))])
    async with asyncio.timeout(5):
        assert await pages.page(0, 500, sort_by) == (tuple(in_order(RECORDS, sort_by)), 450)
    assert store.calls <= once + 10


@pytest.mark.parametrize("sort_by", ORDERS)
async def test_a_restored_history_that_goes_on_behind_ours_is_read_anew(
    cluster: MemoryCluster, pages: RecordPages, sort_by: SortBy
) -> None:
    """The next record follows from our last one, which is not there any more, for it was not in the backup."""
    await pages.page(0, 20, sort_by)
    for record in RECORDS[300:]:
        cluster.apply([Delete(put.key) for put in index_writes(KEYS, record)])
    lost = Restored(BEGINNING, 300, 450, RECORDS[299].hash, HEAD.hash)
    record, head = append(HEAD, content(450))
    cluster.apply([*index_writes(KEYS, record), ledger_of(head, lost)])
    assert await shown(pages, sort_by) == in_order([*RECORDS[:300], record], sort_by)


@pytest.mark.parametrize("sort_by", ORDERS)
async def test_a_page_is_of_one_moment(
    cluster: MemoryCluster, store: Counting, pages: RecordPages, sort_by: SortBy
) -> None:
    """Where the history changes while a page is read, the page is read again."""
    fill(cluster, RECORDS[:430])
    await pages.page(0, 1, sort_by)
    store.meanwhile = [lambda: fill(cluster, RECORDS[:440]), lambda: None, lambda: fill(cluster, RECORDS)]
    assert await pages.page(0, 1000, sort_by, descending=True) == (tuple(in_order(RECORDS, sort_by)[::-1]), 450)


async def test_a_history_that_never_rests_is_not_read_for_ever(
    cluster: MemoryCluster, store: Counting, pages: RecordPages
) -> None:
    """After a few attempts it is given up."""
    growing = [RECORDS[:count] for count in range(400, 450)]
    store.meanwhile = [lambda records=records: fill(cluster, records) for records in growing]  # type: ignore[misc]
    with pytest.raises(HistoryChanged):
        await pages.page(0, 1)


async def test_what_a_search_found_can_be_read_as_long_as_it_is_there(
    cluster: MemoryCluster, pages: RecordPages
) -> None:
    """Records that are added meanwhile do not matter; another history is not taken for the one that was searched."""
    fill(cluster, RECORDS[:430])
    found = await pages.find(USB, "issuedDate")
    fill(cluster, RECORDS)
    assert await pages.read(found, found.wanted[:20]) == tuple(in_order(RECORDS[:430], "issuedDate")[:20])
    fill(cluster, other_history(450))
    for numbers in found.wanted[:20], []:
        with pytest.raises(HistoryChanged):
            await pages.read(found, numbers)


async def test_a_history_that_moves_is_not_read(cluster: MemoryCluster, pages: RecordPages) -> None:
    """As long as some records are those of another history; then it is read again."""
    found = await pages.find(ALL, "issuedDate")
    moving = Restored(BEGINNING, 5, 450, RECORDS[4].hash, HEAD.hash, Staged("area", 5))
    cluster.apply([ledger_of(HEAD, moving)])
    for reading in (pages.page(0, 1), pages.find(ALL), pages.read(found, [0]), pages.page(0, 1, "issuedDate")):
        with pytest.raises(HistoryMoves):
            await reading
    cluster.apply([ledger_of(HEAD, replace(moving, staged=None, first=450, before=HEAD.hash))])
    assert await shown(pages, "issuedDate") == in_order(RECORDS, "issuedDate")
