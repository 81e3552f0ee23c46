"""`GET /v1/status/stream`: server-sent events, for those who would rather be told."""

from __future__ import annotations

import asyncio
import contextlib
import math

from aiohttp import web

from coordinator.answers import shown
from coordinator.board import Answer
from coordinator.calls import ADMITTED, SERVICES, Call, Parameter
from coordinator.errors import ApiError
from coordinator.guarding import GUARD
from coordinator.status_api import CLOSING
from coordinator.telling_time import told_time

HEARTBEAT = 5.0
"""Seconds after which a silent stream says that it is still there. Who has heard nothing for two of them may take the
node for lost, so this is half of how long a silent node looks alive; it also is less than anything on the way waits
before it cuts a silent connection off."""
PULSE = web.AppKey("heartbeat", float)
"""Another heartbeat, for tests."""


async def get_stream(request: web.Request) -> web.StreamResponse:
    """Tell the answer at once and then every other one, as `GET /v1/status` gives it, until this node stops.

    An event's id is the answer's index. Who comes back with it as `Last-Event-ID` is not told the same answer again. A
    stale answer has an empty id, since an index does not tell stale from fresh: who comes back is told at once. With a
    session it ends when that does, and when its token is taken out.

    A comment with the time comes first, so that who is told nothing else yet knows that the node is there, and again
    whenever the stream was silent.
    """
    board, closing = request.app[SERVICES].board, request.app[CLOSING]
    first = shown(request)
    last = first.body if _id(first) and request.headers.get("Last-Event-ID") == _id(first) else b""
    response = web.StreamResponse(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
    response.content_type = "text/event-stream"
    with contextlib.suppress(ConnectionError):  # whoever listened has gone
        await response.prepare(request)
        await response.write(_heartbeat(request))
        while not closing.is_set() and _may_listen(request):
            seen, answer = board.version, shown(request)
            if answer.body != last:
                last = answer.body
                await response.write(_event(answer))
            if await _silence(request, seen):
                await response.write(_heartbeat(request))
    return response


def _may_listen(request: web.Request) -> bool:
    """Whether the caller may still be told; the token may have been taken out meanwhile."""
    try:
        request.app[GUARD].confirm(request, request[ADMITTED], "read")
    except ApiError:
        return False
    return True


def _session_left(request: web.Request) -> float:
    """Return for how many seconds the caller may listen."""
    expires = request[ADMITTED].expires
    if expires is None:
        return math.inf
    return (expires - request.app[SERVICES].outlook.clock.now()).total_seconds()


async def _silence(request: web.Request, seen: int) -> bool:
    """Wait for another answer than version `seen`; return whether none came for the length of a heartbeat."""
    try:
        async with asyncio.timeout(min(request.app.get(PULSE, HEARTBEAT), _session_left(request))):
            await request.app[SERVICES].board.changed(seen)
    except TimeoutError:
        return True
    return False


def _heartbeat(request: web.Request) -> bytes:
    return b": %s\n\n" % told_time(request).encode()


def _event(answer: Answer) -> bytes:
    return b"id: %s\ndata: %s\n\n" % (_id(answer).encode(), answer.body)


def _id(answer: Answer) -> str:
    return "" if answer.status.stale else str(answer.status.index)


CALLS: tuple[Call, ...] = (
    Call(
        "GET",
        "/status/stream",
        get_stream,
        "read",
        "Be told the whole status at once and whenever it changes, as server-sent events; comments tell the time.",
        {200: {"text/event-stream": str}},
        parameters=(Parameter("Last-Event-ID", str, "The id of the last event that was received.", "header"),),
        refuses=(503,),
    ),
)
