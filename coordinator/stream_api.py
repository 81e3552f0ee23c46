"""`GET /v1/status/stream`: server-sent events, for those who would rather be told."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web
from aiohttp.hdrs import TRANSFER_ENCODING

from coordinator.answers import shown
from coordinator.audience import AUDIENCE, event_id
from coordinator.calls import ADMITTED, SERVICES, Call, Parameter
from coordinator.errors import ApiError
from coordinator.guarding import GUARD
from coordinator.status_api import CLOSING
from coordinator.telling_time import told_time
from licensing.value import Time


async def get_stream(request: web.Request) -> web.StreamResponse:
    """Tell the answer at once and then every other one, as `GET /v1/status` gives it, until this node stops.

    An event's id is the answer's index. Who comes back with it as `Last-Event-ID` is not told the same answer again. A
    stale answer has an empty id, since an index does not tell stale from fresh: who comes back is told at once. With a
    session it ends when that does, and when its token is taken out.

    A comment with the time comes first, so that who is told nothing else yet knows that the node is there, and again
    whenever the stream was silent. Who reads slowly holds up nobody: what waits for them stays within what a connection
    buffers, and then they are told the newest answer only.
    """
    audience, known = request.app[AUDIENCE], event_id(shown(request))
    last = audience.event if known and request.headers.get("Last-Event-ID") == known else b""
    response = web.StreamResponse(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
    response.content_type = "text/event-stream"
    with contextlib.suppress(ConnectionError):  # whoever listened has gone
        await response.prepare(request)
        await response.write(_heartbeat(request))
        listening = _Listening(request, response, last)
        with audience.joined(listening):
            await listening.tell()
    return response


class _Permission:
    """What the guard said of a caller, which stands until the tokens are others or the session ends."""

    def __init__(self, request: web.Request) -> None:
        self.end = request[ADMITTED].expires
        self._request = request
        self._guard = request.app[GUARD]
        self._now = request.app[SERVICES].outlook.clock.now
        self._generation: int | None = None

    @property
    def stands(self) -> bool:
        """Whether the caller may be told by what the guard said last."""
        return self._generation == self._guard.generation and (self.end is None or self._now() < self.end)

    def lasts(self) -> bool:
        """Whether the caller may be told; the token may have been taken out meanwhile."""
        if self._generation != self._guard.generation:
            try:
                self._guard.confirm(self._request, self._request[ADMITTED], "read")
            except ApiError:
                return False
            self._generation = self._guard.generation
        return self.stands


class _Listening:
    """One stream: what is new is written as soon as all look, where the connection takes it, else by the own task.

    `last`: the event that is known already.
    """

    def __init__(self, request: web.Request, response: web.StreamResponse, last: bytes) -> None:
        self._request = request
        self._response = response
        self._last = last
        self._permission = _Permission(request)
        self._closing = request.app[CLOSING]
        self._audience = request.app[AUDIENCE]
        self._silences = self._audience.silences
        self._own_turn = asyncio.Event()
        # aiohttp writes nothing without waiting; HTTP/1.0, which has no chunks, is left to it
        chunked = response.headers.get(TRANSFER_ENCODING) == "chunked"
        self._transport = request.transport if chunked else None

    @property
    def end(self) -> Time | None:
        """When the session ends."""
        return self._permission.end

    def look(self) -> None:
        """Write what is new; the own task does it where that has to wait, and ends the stream where it has to end."""
        if self._closing.is_set() or not self._permission.stands or not self._takes_more:
            self._own_turn.set()
        elif (news := self._news()) and self._transport:
            self._transport.write(b"%x\r\n%s\r\n" % (len(news), news))

    async def tell(self) -> None:
        """Tell all that is new until the caller may not be told any more, or this node stops."""
        while not self._closing.is_set() and self._permission.lasts():
            self._own_turn.clear()
            if news := self._news():
                await self._response.write(news)
            await self._own_turn.wait()

    @property
    def _takes_more(self) -> bool:
        """Whether nothing that was written before waits here."""
        transport = self._transport
        return transport is not None and not transport.is_closing() and not transport.get_write_buffer_size()

    def _news(self) -> bytes:
        """Return what is to be told, which counts as told from now on; empty for nothing."""
        event, silences = self._audience.event, self._audience.silences
        known, was_silent = event == self._last, silences != self._silences
        self._last, self._silences = event, silences
        if known:
            return _heartbeat(self._request) if was_silent else b""
        return event


def _heartbeat(request: web.Request) -> bytes:
    return b": %s\n\n" % told_time(request).encode()


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
