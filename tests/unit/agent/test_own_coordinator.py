"""Asking the coordinator of this node whether it lives, against a real HTTP server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from agent.own_coordinator import MISSES, OwnCoordinator
from tests.waiting import eventually


class Livez:
    """A coordinator that answers `/livez` as it is told: with a status, or with 0 not at all."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.asked = 0

    async def answer(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp's signature
        """Answer one question."""
        self.asked += 1
        if self.status == 0:
            await asyncio.Event().wait()
        return web.Response(status=self.status)


@asynccontextmanager
async def livez() -> AsyncIterator[Livez]:
    """Serve one on a free port."""
    served = Livez()
    application = web.Application()
    application.router.add_get("/livez", served.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield served
    finally:
        await runner.cleanup()


@asynccontextmanager
async def asking(coordinator: OwnCoordinator) -> AsyncIterator[None]:
    """Let it ask meanwhile."""
    task = asyncio.create_task(coordinator.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.parametrize("status", [0, 500], ids=["hangs", "500"])
async def test_it_counts_as_silent_after_three_misses(status: int) -> None:
    """Not before, and one good answer is enough to count as answering again; each change is told once."""
    async with livez() as served:
        coordinator = OwnCoordinator(served.url, every=0.05)
        async with asking(coordinator):
            await eventually(lambda: served.asked > 1)
            assert (coordinator.answers, coordinator.changed.count) == (True, 0)
            served.status = status
            before = served.asked
            await coordinator.changed.after(0)
            assert not coordinator.answers
            assert served.asked >= before + MISSES
            served.status = 200
            await coordinator.changed.after(1)
            assert coordinator.answers


async def test_a_port_where_nobody_listens_is_silent() -> None:
    """A coordinator that is not there is one that does not answer."""
    coordinator = OwnCoordinator("http://127.0.0.1:9", every=0.02)
    async with asking(coordinator):
        assert coordinator.answers
        await eventually(lambda: not coordinator.answers)
