"""A process at rest that does by hand the least of what a coordinator does then: it renews one lease and watches a key.

Usage: python -m tests.bench.floors.renewing PORT ENDPOINT. It has the libraries of a coordinator and none of its code
but that for etcd's messages.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import suppress

import click  # noqa: F401 - loaded for the memory that it takes, as the following
import cryptography.hazmat.primitives.asymmetric.ed25519  # noqa: F401
import msgspec  # noqa: F401
import prometheus_client  # noqa: F401
import tenacity  # noqa: F401
from aiohttp import web

from cluster.timings import Timings
from tests.bench.bare import connected
from tests.bench.floors.serving import serve


def main(port: str, endpoint: str) -> None:
    """Renew until killed."""
    timings = Timings()

    async def renewing(_: web.Application) -> AsyncIterator[None]:
        async with connected(endpoint) as client, client.watching("/floor/rest"):
            lease = await client.grant(timings.lease_ttl)
            task = asyncio.create_task(client.renew(lease, timings.renew))
            yield
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    app = web.Application()
    app.cleanup_ctx.append(renewing)
    serve(app, int(port))


if __name__ == "__main__":
    main(*sys.argv[1:])
