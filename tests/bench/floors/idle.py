"""An idle process that serves HTTP with aiohttp and is connected to etcd with gRPC, and does nothing.

Usage: python -m tests.bench.floors.idle PORT ENDPOINT
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import grpc.aio
from aiohttp import web

from tests.bench.floors.serving import serve


def main(port: str, endpoint: str) -> None:
    """Do nothing until killed."""

    async def connected(_: web.Application) -> AsyncIterator[None]:
        async with grpc.aio.insecure_channel(endpoint) as channel:
            await channel.channel_ready()
            yield

    app = web.Application()
    app.cleanup_ctx.append(connected)
    serve(app, int(port))


if __name__ == "__main__":
    main(*sys.argv[1:])
