"""A history of 100,000 records on real etcd: any page is read as that of a short one is, and nothing beside it."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import time
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from cluster.etcd import EtcdStore
from cluster.keys import Keys
from cluster.record_filter import RecordFilter
from cluster.record_pages import RecordPages, SortBy
from cluster.records import index_writes, verify_stored
from cluster.store import MOST_PARTS, Put
from cluster.timings import Timings
from cluster.values import encode_value
from licensing.ledger import Ledger
from licensing.records import ChainHead, Record, append
from tests.etcd_server import EtcdServer
from tests.history import BEGINNING, content

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cluster.store import Entry

pytestmark = pytest.mark.timeout(300)
"""The first test writes the history."""
COUNT = 100_000
PAGE = 20
KEYS = Keys("s")
ORDERS: tuple[SortBy, ...] = ("uploadDate", "issuedDate", "expiredDate")
PATIENT = Timings(lease_ttl=60, agent_lease_ttl=60, attempt=5, call_deadline=12)
"""Of many thousand calls none may fail because the machine is busy."""
STARTS = (0, COUNT // 2 - PAGE, COUNT - PAGE)


class Measured(EtcdStore):
    """A client that counts its calls and the keys it asked for or was sent."""

    calls = 0
    entries = 0

    async def page(self, start: str, end: str, limit: int) -> tuple[Entry, ...]:
        """Read, and count."""
        found = await super().page(start, end, limit)
        self.calls += 1
        self.entries += len(found)
        return found

    async def read(self, keys: Sequence[str]) -> tuple[Entry | None, ...]:
        """Read, and count."""
        self.calls += 1
        self.entries += len(keys)
        return await super().read(keys)


def contracts() -> tuple[list[Record], ChainHead]:
    """Return records of licences issued over three years, many of them about the same few licences."""
    chance = random.Random(1)  # noqa: S311 - a test that is the same every time
    few = [chance.randrange(3 * 365 * 86400) for _ in range(5)]
    records, head = [], ChainHead()
    for number in range(COUNT):
        second = chance.choice(few) if chance.random() < 1 / 2 else chance.randrange(3 * 365 * 86400)
        issued = BEGINNING + dt.timedelta(seconds=second)
        end = issued + dt.timedelta(days=365)
        record, head = append(head, content(number, issued_date=issued, expired_date=end))
        records.append(record)
    return records, head


async def fill(server: EtcdServer, records: list[Record]) -> None:
    """Start the server and write the records, as many in one transaction as etcd allows."""
    await server.start()
    store = EtcdStore(server.endpoints, PATIENT)
    writes = [write for record in records for write in index_writes(KEYS, record)]
    for first in range(0, len(writes), MOST_PARTS):
        await store.commit([], writes[first : first + MOST_PARTS])
    ledger = Ledger(record_count=len(records), record_hash=records[-1].hash)
    await store.commit([], [Put(KEYS.ledger, encode_value(ledger))])
    await store.close()


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EtcdServer, list[Record], ChainHead]]:
    """Run an etcd that holds the history."""
    records, head = contracts()
    server = EtcdServer(tmp_path_factory.mktemp("history"))
    try:
        asyncio.run(fill(server, records))
        yield server, records, head
    finally:
        server.stop()


@pytest.mark.parametrize("sort_by", ORDERS)
async def test_no_page_reads_more_than_it_shows(
    stored: tuple[EtcdServer, list[Record], ChainHead], sort_by: SortBy
) -> None:
    """First, middle and last page in each order, from either end: one call, once the order is known."""
    server, _, _ = stored
    store = Measured(server.endpoints, PATIENT)
    pages = RecordPages(store, KEYS)
    for start in (0, *STARTS):
        store.calls, store.entries, began = 0, 0, time.perf_counter()
        await pages.page(start, PAGE, sort_by, descending=True)
        figures = f"{(time.perf_counter() - began) * 1000:4.0f} ms, {store.calls} calls, {store.entries} entries"
        print(f"{sort_by:12} from {start:6}: {figures}")  # noqa: T201 - for pytest -s
    assert (store.calls, store.entries) == (1, PAGE + 1)
    await store.close()


async def test_a_search_reads_every_record_once(stored: tuple[EtcdServer, list[Record], ChainHead]) -> None:
    """In order of number, however the result is to be sorted."""
    server, records, _ = stored
    store = Measured(server.endpoints, PATIENT)
    pages = RecordPages(store, KEYS)
    await pages.page(0, PAGE, "issuedDate")
    store.entries = 0
    found = await pages.find(RecordFilter(text="L7777"), "issuedDate")
    assert found.wanted == []
    assert store.entries == len(records) + 1
    await store.close()


@pytest.mark.parametrize("sort_by", ORDERS)
async def test_every_page_shows_what_belongs_there(
    stored: tuple[EtcdServer, list[Record], ChainHead], sort_by: SortBy
) -> None:
    """The pages are those of the sorted history, from either end."""
    server, records, _ = stored
    dates = {"uploadDate": "upload_date", "issuedDate": "issued_date", "expiredDate": "expired_date"}
    ordered = sorted(records, key=lambda record: getattr(record, dates[sort_by]))
    store = EtcdStore(server.endpoints, PATIENT)
    pages = RecordPages(store, KEYS)
    for start in STARTS:
        assert await pages.page(start, PAGE, sort_by) == (tuple(ordered[start : start + PAGE]), COUNT)
        shown, _ = await pages.page(start, PAGE, sort_by, descending=True)
        assert shown == tuple(ordered[::-1][start : start + PAGE])
    await store.close()


async def test_a_long_history_is_verified_in_the_store(stored: tuple[EtcdServer, list[Record], ChainHead]) -> None:
    """It is as it was written; a record that is then changed in etcd is found."""
    server, records, head = stored
    store = EtcdStore(server.endpoints, PATIENT)
    assert await verify_stored(store, KEYS, head) is None
    await store.commit([], [Put(KEYS.record(70_000), encode_value(replace(records[70_000], who="x")))])
    found = await verify_stored(store, KEYS, head)
    assert (found.number, "its own hash" in found.why) == (70_000, True)
    await store.commit([], [Put(KEYS.record(70_000), encode_value(records[70_000]))])
    await store.close()


async def test_a_snapshot_without_the_history_does_not_read_it(
    stored: tuple[EtcdServer, list[Record], ChainHead],
) -> None:
    """What is kept in memory is read at start as if there were no history."""
    server, _, _ = stored
    store = EtcdStore(server.endpoints, PATIENT)
    await store.commit([], [Put(KEYS.usage, b"x")])
    began = time.perf_counter()
    view = await store.snapshot(KEYS.prefix, KEYS.records)
    assert list(view.entries) == [KEYS.ledger, KEYS.usage]
    assert time.perf_counter() - began < 0.5
    await store.close()
