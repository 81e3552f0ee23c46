"""Those who listen to the event stream: they look together, and the same bytes are told to all of them.

Knows nothing of HTTP, nor who may listen.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Protocol

from aiohttp import web

from coordinator.board import Answer, Board
from licensing.value import Time

log = logging.getLogger(__name__)

HEARTBEAT = 5.0
"""Seconds after which a silent stream says that it is still there. Who has heard nothing for two of them may take the
node for lost, so this is half of how long a silent node looks alive; it also is less than anything on the way waits
before it cuts a silent connection off."""


class Listener(Protocol):
    """Somebody who listens."""

    @property
    def end(self) -> Time | None:
        """When their session ends; None without one."""

    def look(self) -> None:
        """See what is new. All the others wait meanwhile, so this waits for nothing and raises nothing."""


class Audience:
    """Lets all who listen look when the board shows something else, after every silence, and when a session ends.

    One task waits for all of them, and only while there are any: to wake a task of each, with a timer of each to set
    anew, would take longer than to tell them. Who fails to look is told of in the log and keeps no other from looking.
    `now` is effective time; `heartbeat` in seconds.

    `silences` counts how often nothing was told for the length of a heartbeat.
    """

    def __init__(self, board: Board, now: Callable[[], Time], heartbeat: float = HEARTBEAT) -> None:
        self.heartbeat = heartbeat
        self.silences = 0
        self._board = board
        self._now = now
        self._listeners = set[Listener]()
        self._watch: asyncio.Task[None] | None = None
        self._answer: Answer | None = None
        self._event = b""

    def __len__(self) -> int:
        """How many listen."""
        return len(self._listeners)

    @contextlib.contextmanager
    def joined(self, listener: Listener) -> Iterator[None]:
        """Let somebody look with the others meanwhile.

        They may be told as late as with the next heartbeat that a session has ended which had less left.
        """
        self._listeners.add(listener)
        if self._watch is None or self._watch.done():  # what is shown from now on is news, also before the task begins
            self._watch = asyncio.create_task(self._watch_board(self._board.version, self.event))
        try:
            yield
        finally:
            self._listeners.remove(listener)
            if not self._listeners:
                self._watch.cancel()
                self._watch = None

    @property
    def event(self) -> bytes:
        """The board's answer as an event, made once for everybody; empty where there is none yet."""
        answer = self._board.answer
        if answer is not self._answer and answer is not None:
            self._answer, self._event = answer, b"id: %s\ndata: %s\n\n" % (event_id(answer).encode(), answer.body)
        return self._event

    async def _watch_board(self, seen: int, told: bytes) -> None:
        clock = asyncio.get_running_loop().time
        due = clock() + self.heartbeat
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(min(due, clock() + self._next_end())):
                    await self._board.changed(seen)
            seen = self._board.version
            if self.event != told:
                told, due = self.event, clock() + self.heartbeat
            elif clock() >= due:
                self.silences += 1
                due = clock() + self.heartbeat
            for listener in self._listeners:
                try:
                    listener.look()
                except Exception:
                    log.exception("a listener could not look")

    def _next_end(self) -> float:
        """Return the seconds until the next session ends; whose has ended is on their way out."""
        now = self._now()
        ends = (listener.end for listener in self._listeners)
        return min(((end - now).total_seconds() for end in ends if end and end > now), default=self.heartbeat)


def event_id(answer: Answer) -> str:
    """Return the id of an answer's event; empty for a stale one, since an index does not tell stale from fresh."""
    return "" if answer.status.stale else str(answer.status.index)


AUDIENCE = web.AppKey("audience", Audience)
