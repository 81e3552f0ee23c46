"""What is written for a record, and the verification of what is stored."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest
from msgspec.structs import replace

from cluster.memory import MemoryCluster
from cluster.records import index_writes, verify_stored
from cluster.store import Delete, Put
from cluster.values import encode_value
from licensing.records import ChainHead
from tests.unit.cluster.spread_records import HEAD, KEYS, RECORDS, fill


@pytest.fixture
def cluster() -> MemoryCluster:
    """Return a store that holds the records."""
    cluster = MemoryCluster()
    fill(cluster, RECORDS)
    return cluster


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
