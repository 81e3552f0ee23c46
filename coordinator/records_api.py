"""`GET /v1/licenses/records`: pages of the history, read from the store when somebody asks for them."""

from __future__ import annotations

from typing import Annotated, Literal

from aiohttp import web
from msgspec import Meta

from cluster.record_filter import RecordFilter
from cluster.record_pages import LARGEST_READ, RecordPages
from cluster.records import BadRecord
from coordinator.calls import Call, Parameter, as_json
from coordinator.errors import bad_parameter
from coordinator.history_pages import PAGES, refusals
from coordinator.ordering import json_answer
from coordinator.record_wishes import FILTERED, IN_ORDER, Order, choice, filter_in, order_in
from licensing.records import Record
from licensing.value import Value

LARGEST_LIMIT = 1000
_LARGEST_START = 10**12
_FLAG = {"false": False, "true": True, "": True}


class RecordsAnswer(Value, frozen=True):
    """A page of records and how many there are in all, of those that are wanted.

    `reasons`: what of this page cannot be read, and why.
    """

    inventories: tuple[Record, ...]
    total: int
    reasons: tuple[str, ...]


_Answered = tuple[tuple[Record | BadRecord, ...], int, tuple[str, ...]]
"""The records, how many are wanted in all, and what is not known of others."""


class _Wish(Value, frozen=True):
    start: int
    limit: int
    order: Order
    wanted: RecordFilter


async def get_records(request: web.Request) -> web.Response:
    """Answer with `limit` records from `start` on, in the order asked for; with `count` only with how many there are.

    `replyWithCount` changes nothing: the count always comes along.
    """
    wish = _wish(request)
    with refusals():
        found, total, unknown = await (_page if wish.wanted.wants_all else _searched)(request.app[PAGES], wish)
    good = tuple(record for record in found if isinstance(record, Record))
    bad = tuple(f"{record.key}: {record.why}" for record in found if isinstance(record, BadRecord))
    return json_answer(RecordsAnswer(good, total, (*unknown, *bad)), headers={"Cache-Control": "no-cache"})


def _wish(request: web.Request) -> _Wish:
    choice(request, "replyWithCount", _FLAG)
    counts_only = choice(request, "count", _FLAG)
    limit = _number(request, "limit", LARGEST_LIMIT, LARGEST_LIMIT)
    return _Wish(
        start=_number(request, "start", 0, _LARGEST_START),
        limit=0 if counts_only else limit,
        order=order_in(request),
        wanted=filter_in(request),
    )


async def _page(pages: RecordPages, wish: _Wish) -> _Answered:
    order = wish.order
    return *await pages.page(wish.start, wish.limit, order.sort_by, descending=order.descending), ()


async def _searched(pages: RecordPages, wish: _Wish) -> _Answered:
    """Look through the whole history, and read what is wished for of what is wanted."""
    order = wish.order
    found = await pages.find(wish.wanted, order.sort_by, descending=order.descending)
    numbers, records = found.wanted[wish.start : wish.start + wish.limit], list[Record | BadRecord]()
    for first in range(0, max(len(numbers), 1), LARGEST_READ):
        records += await pages.read(found, numbers[first : first + LARGEST_READ])
    count = len(found.unreadable)
    text = f"Records that cannot be read, so that nobody knows whether they are wanted: {count}. Verify the history."
    return tuple(records), len(found.wanted), (text,) if count else ()


def _number(request: web.Request, name: str, default: int, largest: int) -> int:
    given = request.query.get(name)
    if given is None:
        return default
    if given.isascii() and given.isdigit() and len(given) <= len(str(largest)) and int(given) <= largest:
        return int(given)
    raise bad_parameter(name, given[:64], f"a whole number from 0 to {largest}")


Flag = Literal["", "true", "false"]

CALLS: tuple[Call, ...] = (
    Call(
        "GET",
        "/licenses/records",
        get_records,
        "read",
        "Read a page of the history of licences and keys.",
        {200: as_json(RecordsAnswer)},
        parameters=(
            Parameter("start", Annotated[int, Meta(ge=0, le=_LARGEST_START)], "How many records to leave out first."),
            Parameter("limit", Annotated[int, Meta(ge=0, le=LARGEST_LIMIT)], "How many records to give at most."),
            Parameter("count", Flag, "Give no records and only tell how many there are."),
            Parameter("replyWithCount", Flag, "Tell how many there are as well, which is always done."),
            *IN_ORDER,
            *FILTERED,
        ),
        refuses=(503,),
    ),
)
