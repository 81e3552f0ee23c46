"""The chain from a plugged key to its readers, of bare processes: each hands on what it is told, and does nothing else.

Usage: python -m tests.bench.floors.chain PORT ROLE ENDPOINT FOLDER. An `agent` writes the folder's file `report` to
etcd whenever a file is moved into the folder; the `leader` answers each with its file `status` in a fenced transaction;
the leader and every other `board` send each status to those who read their stream.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from aiohttp import web
from asyncinotify import Inotify, Mask

from tests.bench.bare import Bare, connected
from tests.bench.floors.fanout import Fanout
from tests.bench.floors.serving import serve

REPORT, LEADER, STATUS = "/chain/report", "/chain/leader", "/chain/status"


async def report(client: Bare, folder: Path) -> None:
    """Write a report of each file that comes."""
    told = (folder / "report").read_bytes()
    with Inotify() as inotify:
        inotify.add_watch(folder, Mask.MOVED_TO)
        async for _ in inotify:
            await client.put(REPORT, told)


async def lead(client: Bare, folder: Path) -> None:
    """Publish a status for each report."""
    status, epoch = (folder / "status").read_bytes(), await client.put(LEADER, b"")
    async with client.watching(REPORT) as reports:
        while True:
            await reports.delivery()
            await client.fenced(LEADER, epoch, [(STATUS, status)])


async def show(client: Bare, fanout: Fanout) -> None:
    """Send each status to the readers."""
    number = 0
    async with client.watching(STATUS) as statuses:
        while True:
            await statuses.delivery()
            number += 1
            fanout.tell(number)


async def app(role: str, endpoint: str, folder: Path) -> web.Application:
    """Return the server of one process."""
    fanout = Fanout((folder / "status").read_bytes())
    works: dict[str, list[Callable[[Bare], Awaitable[None]]]] = {
        "agent": [lambda client: report(client, folder)],
        "board": [lambda client: show(client, fanout)],
        "leader": [lambda client: show(client, fanout), lambda client: lead(client, folder)],
    }

    async def working(_: web.Application) -> AsyncIterator[None]:
        async with connected(endpoint) as client:
            tasks = [asyncio.ensure_future(work(client)) for work in works[role]]
            yield
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    made = web.Application()
    made.router.add_get("/v1/status/stream", fanout.stream)
    made.cleanup_ctx.append(working)
    return made


if __name__ == "__main__":
    serve(app(sys.argv[2], sys.argv[3], Path(sys.argv[4])), int(sys.argv[1]))
