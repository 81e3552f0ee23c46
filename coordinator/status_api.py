"""`GET /v1/status`: the whole answer, with an entity tag for those who ask often and a long poll for those who wait."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated, TypeVar

from aiohttp import web
from aiohttp.hdrs import IF_NONE_MATCH
from msgspec import Meta

from coordinator.board import Answer, Board, StatusBody
from coordinator.calls import ADMITTED, Call, Parameter, as_json
from coordinator.errors import bad_parameter, not_ready
from coordinator.guarding import GUARD
from coordinator.ready import ENDING, JSON_TYPE, NOT_MODIFIED, OK, Ready, ready, takes_ready

T = TypeVar("T", int, float)

LONGEST_WAIT = 60.0
LARGEST_INDEX = 2**53
BOARD = web.AppKey("board", Board)
CLOSING = web.AppKey("closing", asyncio.Event)


async def get_status(request: web.Request) -> web.Response:
    """Answer with the newest status.

    `?wait=30&index=N` waits up to that many seconds for an answer other than the one with index N, or, with
    `If-None-Match`, for one with another tag: then it also tells when the same publication has become stale.
    """
    board = request.app[BOARD]
    wait = known = None
    if request.query:  # which most calls do not have
        wait = _number(request, "wait", LONGEST_WAIT, float)
        known = _number(request, "index", LARGEST_INDEX, int)
    if board.answer is None:
        raise not_ready()
    if wait:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await _until_news(board, request, known)
        request.app[GUARD].confirm(request, request[ADMITTED], "read")  # the token may have been taken out meanwhile
    return _response(request, board)


async def _until_news(board: Board, request: web.Request, known: int | None) -> None:
    while board.answer is not None and not request.app[CLOSING].is_set() and _is_known(board.answer, request, known):
        await board.changed(board.version)


def _is_known(answer: Answer, request: web.Request, known: int | None) -> bool:
    tags = request.if_none_match
    if tags:
        return any(tag.value == "*" or f'"{tag.value}"' == answer.etag for tag in tags)
    return known is not None and answer.status.index == known


def _response(request: web.Request, board: Board) -> web.Response:
    answer = board.answer
    assert answer is not None
    same = _has_same(answer, request)
    age = int(board.age)
    if takes_ready(request):
        return request.app[COPIES].of(answer, age, request.app[ENDING].lines(), same=same)
    headers = _headers(answer, age)
    if same:
        return web.Response(status=NOT_MODIFIED, headers=headers)
    return web.Response(body=answer.body, headers=headers | JSON_TYPE)


def _has_same(answer: Answer, request: web.Request) -> bool:
    """Whether the caller has this answer, by the tag that was sent with it or by any list of tags."""
    given = request.headers.get(IF_NONE_MATCH)
    if given is None or given == answer.etag:
        return given is not None
    return bool(request.if_none_match) and _is_known(answer, request, None)


def _headers(answer: Answer, age: int) -> dict[str, str]:
    return {"ETag": answer.etag, "Age": str(age), "Cache-Control": "no-cache"}


class Copies:
    """An answer as it is sent, made once for all who ask until it, its age or the time is another."""

    def __init__(self) -> None:
        self._made: tuple[Answer, tuple[int, str], Ready, Ready] | None = None

    def of(self, answer: Answer, age: int, closing: str, *, same: bool) -> Ready:
        """Return the whole answer, or that it is still the same."""
        made = self._made
        if made is None or made[0] is not answer or made[1] != (age, closing):
            headers = _headers(answer, age)
            whole = ready(OK, headers | JSON_TYPE, answer.body, closing)
            self._made = made = answer, (age, closing), whole, ready(NOT_MODIFIED, headers, b"", closing)
        _, _, whole, unchanged = made
        return unchanged if same else whole


COPIES = web.AppKey("copies", Copies)


def _number(request: web.Request, name: str, largest: float, read: type[T]) -> T | None:
    given = request.query.get(name)
    if given is None:
        return None
    try:
        value = read(given)
    except ValueError:
        value = read(-1)
    if not 0 <= value <= largest:
        raise bad_parameter(name, given[:64], f"a number from 0 to {largest:.0f}")
    return value


CALLS = (
    Call(
        "GET",
        "/status",
        get_status,
        "read",
        "Tell the whole status; with `wait`, only once it is another than the one that is known.",
        {200: as_json(StatusBody), 304: {}},
        parameters=(
            Parameter("wait", Annotated[float, Meta(ge=0, le=LONGEST_WAIT)], "Seconds to wait for other news."),
            Parameter("index", Annotated[int, Meta(ge=0, le=LARGEST_INDEX)], "The index of the status that is known."),
            Parameter("If-None-Match", str, "The entity tag of the status that is known.", "header"),
        ),
        refuses=(503,),
    ),
)
