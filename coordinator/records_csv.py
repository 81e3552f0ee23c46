"""`GET /v1/licenses/records.csv`: the history for a spreadsheet, sent a page at a time while it is read.

The form is that of RFC 4180, with a byte order mark in front, by which Excel knows UTF-8. A spreadsheet takes a cell
that begins with certain characters for a formula and computes it; since others than the reader choose names, such a
cell gets an apostrophe in front.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import logging
from collections.abc import Iterable

import msgspec
from aiohttp import web

from cluster.record_pages import LARGEST_READ, HistoryChanged, HistoryMoves
from cluster.records import BadRecord
from cluster.store import StoreError
from coordinator.calls import SERVICES, Call
from coordinator.history_pages import PAGES, refusals
from coordinator.record_wishes import FILTERED, IN_ORDER, filter_in, order_in
from licensing.records import Record

log = logging.getLogger(__name__)

QUOTA = ("hosts", "cpuSockets", "cpuCores")
COLUMNS = (
    *("number", "uploadDate", "action", "sentence", "managementType", "authorizationMethod", "item", *QUOTA, "status"),
    *("issuedDate", "expiredDate", "name", "licenceId", "keyId", "replaced", "who", "node", "previousHash", "hash"),
)
"""The members of a record by their names in JSON, with the units of its quota in place of that."""
FORMULA_STARTS = (
    *("=", "+", "-", "@", "\t", "\r", "\n"),
    *("\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}"),
    *("\N{FULLWIDTH HYPHEN-MINUS}", "\N{FULLWIDTH COMMERCIAL AT}"),
)
"""Some spreadsheets take the full-width forms of East Asian keyboards for the plain ones."""


async def get_csv(request: web.Request) -> web.StreamResponse:
    """Answer with all records that are wanted, in the order asked for; those that cannot be read say so in their row.

    When the store fails in the middle, or has another history, the connection is cut, so that nobody takes a part for
    the whole.
    """
    order, wanted, pages = order_in(request), filter_in(request), request.app[PAGES]
    with refusals():
        found = await pages.find(wanted, order.sort_by, descending=order.descending)
    response = web.StreamResponse(headers=_headers(f"{request.app[SERVICES].outlook.clock.now():%Y-%m-%d}"))
    numbers = (*found.wanted, *found.unreadable)
    try:
        with contextlib.suppress(ConnectionError):  # whoever asked has gone
            await response.prepare(request)
            await response.write(codecs.BOM_UTF8 + _lines([COLUMNS]))
            for first in range(0, max(len(numbers), 1), LARGEST_READ):
                records = await pages.read(found, numbers[first : first + LARGEST_READ])
                await response.write(_lines(map(_row, records)))
    except (StoreError, HistoryChanged, HistoryMoves) as error:
        log.warning("the history could not be read to its end", extra={"why": str(error) or type(error).__name__})
        if request.transport is not None:
            request.transport.abort()
    return response


def _headers(day: str) -> dict[str, str]:
    return {
        "Content-Type": "text/csv; charset=utf-8; header=present",
        "Content-Disposition": f'attachment; filename="licence-records-{day}.csv"',
        "Cache-Control": "no-cache",
        "X-Content-Type-Options": "nosniff",
    }


def _row(record: Record | BadRecord) -> list[str]:
    facts = _facts_of_bad(record) if isinstance(record, BadRecord) else _facts_of(record)
    return [_defused(facts.get(column)) for column in COLUMNS]


def _facts_of(record: Record) -> dict[str, object]:
    units = " ".join(unit.value for unit in record.authorization_method)
    return {**msgspec.to_builtins(record), **msgspec.to_builtins(record.quota), "authorizationMethod": units}


def _facts_of_bad(record: BadRecord) -> dict[str, object]:
    number = record.key.rpartition("/")[2]
    return {
        "number": int(number) if number.isdecimal() else number,
        "sentence": f"The record cannot be read: {record.why}.",
    }


def _defused(fact: object) -> str:
    cell = "" if fact is None else str(fact)
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell


def _lines(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


CALLS: tuple[Call, ...] = (
    Call(
        "GET",
        "/licenses/records.csv",
        get_csv,
        "read",
        "Give the history of licences and keys as a file for spreadsheets.",
        {200: {"text/csv": str}},
        parameters=(*IN_ORDER, *FILTERED),
        refuses=(503,),
    ),
)
