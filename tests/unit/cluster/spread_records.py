"""A history whose dates are in no order, for tests of the history in the store."""

from __future__ import annotations

import datetime as dt
import random

from cluster.keys import Keys
from cluster.memory import MemoryCluster
from cluster.records import index_writes
from cluster.store import Put
from cluster.values import encode_value
from licensing.ledger import Ledger, Restored
from licensing.records import ChainHead, Content, Record
from tests.history import BEGINNING, content, history

KEYS = Keys("s")


def spread_contents(count: int, seed: int = 1) -> list[Content]:
    """Return what records say whose dates are in no order and partly the same."""
    chance = random.Random(seed)  # noqa: S311 - a test that is the same every time
    days = [(chance.randrange(-20_000, 400), chance.randrange(3)) for _ in range(count)]
    dates = [(BEGINNING + dt.timedelta(days=issued), BEGINNING + dt.timedelta(days=long)) for issued, long in days]
    return [content(n, issued_date=issued, expired_date=end) for n, (issued, end) in enumerate(dates)]


RECORDS, HEAD = history(spread_contents(450))


def ledger_of(head: ChainHead, *restored: Restored) -> Put:
    """Return the write of a ledger that knows of these records."""
    return Put(KEYS.ledger, encode_value(Ledger(record_count=head.count, record_hash=head.hash, restored=restored)))


def fill(cluster: MemoryCluster, records: list[Record]) -> None:
    """Write records, and a ledger that knows of them."""
    for record in records:
        cluster.apply(index_writes(KEYS, record))
    cluster.apply([ledger_of(ChainHead(len(records), records[-1].hash))])
