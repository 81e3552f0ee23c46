"""Waiting for a condition with a deadline: the only place where tests pause."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")

PAUSE = 0.02


@overload
async def eventually(probe: Callable[[], Awaitable[T | None]], within: float = 5.0, what: str = "") -> T: ...
@overload
async def eventually(probe: Callable[[], T | None], within: float = 5.0, what: str = "") -> T: ...
async def eventually(probe: Callable[[], object], within: float = 5.0, what: str = "") -> object:
    """Return the first truthy answer of `probe`; fail with its last answer or error after `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        answer: object = None
        try:
            answer = probe()
            if inspect.isawaitable(answer):
                answer = await answer
            if answer:
                return answer
        except (AssertionError, OSError, LookupError) as error:
            answer = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what or probe}; last answer: {answer!r}")
        await asyncio.sleep(PAUSE)


def eventually_sync(probe: Callable[[], T | None], within: float = 5.0, what: str = "") -> T:
    """Return the first truthy answer of `probe`, for tests without an event loop."""
    deadline = time.monotonic() + within
    while True:
        answer: object = None
        try:
            if found := probe():
                return found
            answer = found
        except (AssertionError, OSError, LookupError) as error:
            answer = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what or probe}; last answer: {answer!r}")
        time.sleep(PAUSE)
