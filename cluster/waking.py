"""Sleeping until the first of several things happens."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def first_of(*things: Coroutine[Any, Any, object], timeout: float | None = None) -> None:  # noqa: ASYNC109
    """Return when one of `things` is done, or after `timeout` seconds; the others are cancelled."""
    tasks = [asyncio.ensure_future(thing) for thing in things]
    try:
        await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
