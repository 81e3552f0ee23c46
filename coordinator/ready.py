"""Answers that are sent as they stand: head and body are one piece of bytes, which may go to as many as ask for it.

aiohttp makes every header of an answer anew and then writes them out, which takes longer than all else that an answer
in memory needs. What is sent is the same: whoever reads it cannot tell which of the two wrote it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from typing import Literal

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import SERVER_SOFTWARE

from coordinator.clock import EffectiveClock
from coordinator.telling_time import TIME, written

OK: Literal[200] = 200
NOT_MODIFIED: Literal[304] = 304
JSON_TYPE = {"Content-Type": "application/json"}


class Ready(web.Response):
    """An answer of these bytes, head and all; it keeps nothing of a request, so it may be sent again and again."""

    def __init__(self, status: int, data: bytes) -> None:
        super().__init__(status=status)
        self._data = data

    @property
    def keep_alive(self) -> bool:
        """The connection stays open: who wants it closed is not answered so."""
        return True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Send all of it, as fast as the caller takes it."""
        await request.writer.write_eof(self._data)
        return request.writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to be sent."""


def takes_ready(request: web.Request) -> bool:
    """Whether a request may be answered so; the others are too rare to be worth a second form of every answer."""
    return request.keep_alive and request.version == HttpVersion11 and request.method != "HEAD"


class Closing:
    """The header lines with which every answer ends. They tell seconds, so the clocks are not read for each answer.

    What they say of effective time is what `clock` says.
    """

    KEPT = 0.01
    """Seconds for which the lines stay as they were read."""

    def __init__(self, clock: EffectiveClock) -> None:
        self._clock = clock
        self._read_again_at = float("-inf")
        self._lines = ""

    def lines(self) -> str:
        """Return them; the same text as long as nothing in them changes."""
        at = self._clock.boot()
        if at >= self._read_again_at:
            self._lines = _closing_lines(int(time.time()), written(self._clock.now()))
            self._read_again_at = at + self.KEPT
        return self._lines


ENDING = web.AppKey("ending", Closing)


@lru_cache(maxsize=1)
def _closing_lines(wall: int, told: str) -> str:
    return f"Date: {formatdate(wall, usegmt=True)}\r\nServer: {SERVER_SOFTWARE}\r\n{TIME}: {told}\r\n\r\n"


def ready(status: Literal[200, 304], headers: Mapping[str, str], body: bytes, closing: str) -> Ready:
    """Return an answer that ends with these `closing` lines; in `headers` is nothing that a caller sent."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    begin = "HTTP/1.1 304 Not Modified\r\n" if status == NOT_MODIFIED else "HTTP/1.1 200 OK\r\n"
    length = "" if status == NOT_MODIFIED else f"Content-Length: {len(body)}\r\n"
    return Ready(status, f"{begin}{lines}{length}{closing}".encode("ascii") + body)
