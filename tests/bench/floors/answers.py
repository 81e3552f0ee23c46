"""A bare aiohttp server that gives the answers of a file, and does nothing else for it.

Usage: python -m tests.bench.floors.answers PORT FILE. The file has a list of objects with `method`, `path`, `status`,
`headers` and `body`; where the method is POST the body that comes is decoded as JSON first.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from tests.bench.floors.serving import serve


def answering(told: dict[str, Any]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return a handler that gives one answer."""
    status, body, headers = told["status"], told["body"].encode() or None, told["headers"]

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body, headers=headers)

    async def decode_and_answer(request: web.Request) -> web.Response:
        msgspec.json.decode(await request.read())
        return web.Response(status=status, body=body, headers=headers)

    return decode_and_answer if told["method"] == "POST" else answer


def main(port: str, file: str) -> None:
    """Answer until killed."""
    app = web.Application()
    for told in json.loads(Path(file).read_text(encoding="utf-8")):
        app.router.add_route(told["method"], told["path"], answering(told))
    serve(app, int(port))


if __name__ == "__main__":
    main(*sys.argv[1:])
