"""`GET /v1/licenses/records`: pages of the history, read from the store when somebody asks for them."""

from __future__ import annotations

from typing import Annotated, Literal

from aiohttp import web
from msgspec import Meta

from cluster.record_filter import RecordFilter
from cluster.records import LARGEST_PAGE, BadRecord, RecordPages
from cluster.store import StoreError
from coordinator.answers import store_away
from coordinator.calls import SERVICES, Call, Parameter, as_json
from coordinator.errors import ApiError, bad_parameter
from coordinator.history_pages import history_pages
from coordinator.ordering import json_answer
from coordinator.record_wishes import FILTERED, IN_ORDER, Order, choice, filter_in, order_in
from licensing.records import Record
from licensing.value import Value

LARGEST_LIMIT = 1000
_LARGEST_START = 10**12
_ATTEMPTS = 5
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
    services = request.app[SERVICES]
    pages = history_pages(services)
    try:
        found, total, unknown = await (_consistent if wish.wanted.wants_all else _searched)(pages, wish)
    except StoreError as error:
        raise store_away(error) from error
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


async def _searched(pages: RecordPages, wish: _Wish) -> _Answered:
    """Look through the whole history, and read what is wished for of what is wanted."""
    order = wish.order
    found = await pages.find(wish.wanted, order.sort_by, descending=order.descending)
    keys, records = found.wanted[wish.start : wish.start + wish.limit], list[Record | BadRecord]()
    for first in range(0, len(keys), LARGEST_PAGE):
        records += await pages.read(keys[first : first + LARGEST_PAGE])
    count = len(found.unreadable)
    text = f"Records that cannot be read, so that nobody knows whether they are wanted: {count}. Verify the history."
    return tuple(records), len(found.wanted), (text,) if count else ()


async def _consistent(pages: RecordPages, wish: _Wish) -> _Answered:
    """Read all that is wished for as of one moment."""
    for _ in range(_ATTEMPTS):
        found = await _attempt(pages, wish)
        if found is not None:
            return *found, ()
    raise ApiError(
        503,
        "busy",
        "Records are being added faster than they can be read.",
        hint="Ask again, or for fewer at once.",
        headers={"Retry-After": "1"},
    )


async def _attempt(pages: RecordPages, wish: _Wish) -> tuple[tuple[Record | BadRecord, ...], int] | None:
    """Read page after page; None when the history grew meanwhile, so that the pages may not fit together."""
    order = wish.order
    end = wish.start + wish.limit
    limit = min(wish.limit, LARGEST_PAGE)
    found, total = await pages.page(wish.start, limit, order.sort_by, descending=order.descending)
    for place in range(wish.start + LARGEST_PAGE, min(end, total), LARGEST_PAGE):
        limit = min(end - place, LARGEST_PAGE)
        page, total_then = await pages.page(place, limit, order.sort_by, descending=order.descending)
        if total_then != total:
            return None
        found += page
    return found, total


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
