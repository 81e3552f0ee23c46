"""Moving records on real etcd: the largest batch is one transaction that both versions take."""

from __future__ import annotations

import datetime as dt

from cluster.etcd import EtcdStore
from cluster.keys import Keys
from cluster.record_batches import clear_staging, next_moves, read_records, stage
from cluster.record_pages import RecordPages
from cluster.records import index_writes
from cluster.store import Absent
from licensing.ledger import Staged
from licensing.records import Record
from tests.history import BEGINNING, content, history

KEYS = Keys("moving")
COUNT = 150
DAY = dt.timedelta(days=1)


def dated(days: int) -> list[Record]:
    """Return a history in which no two records have a date in common, nor with one of other days."""
    dates = [BEGINNING + days * DAY + number * dt.timedelta(minutes=1) for number in range(COUNT)]
    told = [content(number, issued_date=at, expired_date=at + 300 * DAY) for number, at in enumerate(dates)]
    return history(told)[0]


async def test_every_batch_is_one_transaction(store: EtcdStore) -> None:
    """A history all of whose records and dates are others is replaced whole, and nothing of it is left."""
    old, new = dated(0), dated(1)
    for record in old:
        await store.commit([], index_writes(KEYS, record))
    await stage(store, KEYS, "area", Absent(KEYS.ledger), new)
    await stage(store, KEYS, "other", Absent(KEYS.ledger), old)
    assert await read_records(store, KEYS, COUNT) == tuple(old)
    staged = Staged("area", 0)
    while staged.first < COUNT:
        moves, staged = await next_moves(store, KEYS, staged, COUNT)
        await store.commit([Absent(KEYS.ledger)], moves)
    await clear_staging(store, KEYS, "other")
    assert await read_records(store, KEYS, COUNT) == tuple(new)
    pages = RecordPages(store, KEYS)
    assert [await pages.page(0, 1, order) for order in ("uploadDate", "issuedDate", "expiredDate")] == (
        [((new[0],), COUNT)] * 3
    )
    assert list((await store.snapshot(KEYS.staging)).entries) == []
