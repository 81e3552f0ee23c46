"""An HTTP server for tests that speaks TLS, or plain HTTP."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web


def serving(cert: Path, key: Path) -> ssl.SSLContext:
    """Return the context of a server that shows this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


@asynccontextmanager
async def answering(context: ssl.SSLContext | None, application: web.Application | None = None) -> AsyncIterator[int]:
    """Answer on a free port of 127.0.0.1 meanwhile, which is given; None for plain HTTP.

    Without an `application` every GET is answered with 200.
    """

    async def answer(request: web.Request) -> web.Response:  # noqa: ARG001 - aiohttp's signature
        return web.Response(text="{}")

    if application is None:
        application = web.Application()
        application.router.add_get("/{any:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
