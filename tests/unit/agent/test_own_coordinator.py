"""Asking the coordinator of this node whether it lives, against a real HTTP server."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from agent.own_coordinator import MISSES, OwnCoordinator
from cluster.https import BadAuthority
from tests.certificates import Authority
from tests.https_server import serving
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
async def livez(context: ssl.SSLContext | None = None) -> AsyncIterator[Livez]:
    """Serve one on a free port, over TLS where a context is given."""
    served = Livez()
    application = web.Application()
    application.router.add_get("/livez", served.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    scheme = "https" if context else "http"
    served.url = f"{scheme}://127.0.0.1:{runner.addresses[0][1]}/"
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


async def test_it_asks_over_tls(tmp_path: Path) -> None:
    """A coordinator whose certificate is of the site's authority answers."""
    ca, cert, key = Authority().write(tmp_path, "http")
    async with livez(serving(cert, key)) as served:
        coordinator = OwnCoordinator(served.url, every=0.02, ca=ca)
        async with asking(coordinator):
            await eventually(lambda: served.asked > MISSES)
            assert coordinator.answers


async def test_a_foreign_certificate_is_no_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log says how to name the right authority; once its file has it, the coordinator answers again."""
    ca, cert, key = Authority().write(tmp_path, "http")
    right = ca.read_bytes()
    Authority().write(tmp_path, "other")
    async with livez(serving(cert, key)) as served:
        coordinator = OwnCoordinator(served.url, every=0.2, ca=ca)
        with caplog.at_level(logging.WARNING):
            async with asking(coordinator):
                await eventually(lambda: not coordinator.answers)
                ca.write_bytes(right)
                await eventually(lambda: coordinator.answers)
        (told,) = (vars(record)["why"] for record in caplog.records)
        assert "set coordinator_ca to" in told


def test_an_authority_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """At the start, before a virtual IP is given up over it."""
    with pytest.raises(BadAuthority, match=r"none\.pem"):
        OwnCoordinator("https://127.0.0.1:8441", ca=tmp_path / "none.pem")
