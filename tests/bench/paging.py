"""Whether a page of a long history takes longer to read than one of a short history."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

from msgspec.structs import replace

from cluster.records import index_writes
from cluster.store import MOST_PARTS, Put, Store, Unavailable
from cluster.values import decode_value, encode_value
from licensing.ledger import Ledger
from licensing.records import ChainHead, append
from tests.bench.figures import MILLI, Figure, at_most, median
from tests.bench.load import Load, Request, load
from tests.bench.row import Effort, Row, in_turn
from tests.bench.sites import authorised, decoded, running_site
from tests.history import BEGINNING, content
from tests.site import KEYS, LiveSite
from tests.waiting import eventually_sync

SHORT, LONG = 100, 100_000
PAGE = 20
ORDERS = ("uploadDate", "issuedDate")
DATES = ("issuedDate", "expiredDate")
AT_ONCE = 8
"""Transactions under way while a history is written."""


def records_page(effort: Effort) -> Iterator[Figure]:
    """Pages that begin anywhere are read one after the other, by number and by date.

    Before that, right after the start, the first page of each order by date, for which the order is read.
    """
    with ExitStack() as stack:
        short, long = (stack.enter_context(running_site("a")) for _ in range(2))
        for site, count in ((short, SHORT), (long, LONG)):
            remember(site, count)
        value, limit = (MILLI * median([_first(site, order) for order in DATES]) for site in (long, short))
        yield Figure("records_page.first_by_date", value, "ms", limit, len(DATES))
        for order in ORDERS:
            loads = in_turn(
                effort.rounds, *(partial(_read, *each, order, effort) for each in ((long, LONG), (short, SHORT)))
            )
            for what, aim in (("p50", at_most(1.5)), ("p99", None)):
                value, limit = (MILLI * median([getattr(each, what) for each in side]) for side in loads)
                n = sum(each.requests for each in loads[0])
                yield Figure(f"records_page.{order}.{what}", value, "ms", limit, n, aim)


def remember(site: LiveSite, count: int) -> None:
    """Give a site a history of so many records, in place of the one that it has."""
    for coordinator in site.coordinators.values():
        coordinator.end()
    site.in_store(partial(_write_history, count=count))
    site.start()
    eventually_sync(lambda: decoded(site.get("a", _path("uploadDate") + "&start=0").body)["total"] == count, 20)


async def _write_history(store: Store, count: int) -> None:
    head, writes = ChainHead(), list[Put]()
    for number in range(count):
        issued = BEGINNING + dt.timedelta(hours=number % 20_000)
        told = content(number % 3000, issued_date=issued, expired_date=issued + dt.timedelta(days=365))
        record, head = append(head, told)
        writes += index_writes(KEYS, record)
    room = asyncio.Semaphore(AT_ONCE)

    async def write(first: int) -> None:
        async with room:
            puts = writes[first : first + MOST_PARTS]
            try:
                await store.commit((), puts)
            except Unavailable:  # the machine is busy; writing it again changes nothing
                await store.commit((), puts)

    await asyncio.gather(*(write(first) for first in range(0, len(writes), MOST_PARTS)))
    entry = (await store.snapshot(KEYS.ledger)).entries[KEYS.ledger]
    ledger = decode_value(entry.key, entry.value, Ledger)
    changed = replace(ledger, sequence=ledger.sequence + 1, record_count=head.count, record_hash=head.hash)
    await store.commit((), (Put(KEYS.ledger, encode_value(changed)),))


def _path(order: str) -> str:
    return f"/v1/licenses/records?limit={PAGE}&sortBy={order}"


def _first(site: LiveSite, order: str) -> float:
    """Return how many seconds a page takes."""
    began = time.perf_counter()
    assert len(decoded(site.get("a", _path(order) + "&start=50").body)["inventories"]) == PAGE
    return time.perf_counter() - began


def _read(site: LiveSite, count: int, order: str, effort: Effort) -> Load:
    request = Request(_path(order), headers=authorised(site), starts=count - PAGE)
    return load(site.nodes["a"].url, request, 1, effort.seconds)


ROW = Row(
    "records_page",
    f"a page of {PAGE} of {LONG:,} records, anywhere, by number and by date",
    f"a page of {SHORT} records",
    "within 1.5 ×",
    records_page,
)
