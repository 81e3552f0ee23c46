"""A bare aiohttp server that sends an event to everybody who reads its stream.

Usage: python -m tests.bench.floors.fanout PORT FILE. A `POST /change?id=N` sends the file's bytes as the event N.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from aiohttp import web

from tests.bench.floors.serving import serve


class Fanout:
    """The stream and who reads it."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._event = b""
        self._changed = asyncio.Event()

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Send every event from now on."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        await response.prepare(request)
        await response.write(b": connected\n\n")
        while True:
            await self._changed.wait()
            await response.write(self._event)

    async def change(self, request: web.Request) -> web.Response:
        """Send an event to everybody."""
        self.tell(int(request.query["id"]))
        return web.Response()

    def tell(self, number: int) -> None:
        """Send the event of this number to everybody."""
        self._event = b"id: %d\ndata: %s\n\n" % (number, self._data)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


async def app(data: bytes) -> web.Application:
    """Return the server."""
    fanout = Fanout(data)
    made = web.Application()
    made.router.add_get("/stream", fanout.stream)
    made.router.add_post("/change", fanout.change)
    return made


if __name__ == "__main__":
    serve(app(Path(sys.argv[2]).read_bytes()), int(sys.argv[1]))
