"""A stand-in for a node's API that gives answers which a real site gave, and runs commands against itself."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import web
from click.testing import CliRunner, Result

from console.main import main

TOKEN = "secret"
ENVIRONMENT = {"COLUMNS": "200", "TWINKEY_URL": "", "TWINKEY_TOKEN": "", "TWINKEY_TOKEN_FILE": "", "TWINKEY_CA": ""}
RECORDED: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("recorded.json").read_text(encoding="utf-8"))
"""What a real site answered: status and body by what it was asked for."""


class Reply(NamedTuple):
    """One answer: its status, and its body, text or what JSON says."""

    status: int
    body: Any

    @property
    def data(self) -> bytes:
        """The body as it is sent."""
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


class Asked(NamedTuple):
    """One call that came in."""

    call: str
    body: bytes
    token: str


def recorded(name: str, **members: Any) -> Reply:
    """Return a recorded answer, with other members where some are given."""
    found = RECORDED[name]
    return Reply(found["status"], found["body"] | members if members else found["body"])


class RecordedSite:
    """Answers each call with the replies that it is given for it, one after the other; the last one stays."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Asked] = []
        self._replies: dict[str, list[Reply]] = {}

    def gives(self, call: str, *replies: Reply) -> None:
        """Answer a call, `METHOD /path?query`, with these replies."""
        self._replies[call] = list(replies)

    @property
    def calls(self) -> list[str]:
        """What was asked for, in order."""
        return [asked.call for asked in self.asked]

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one call; what it has no reply for does not exist."""
        call = f"{request.method} {request.path_qs}"
        self.asked.append(Asked(call, await request.read(), request.headers.get("Authorization", "")))
        replies = self._replies.get(call, [Reply(404, "nothing of that kind")])
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        return web.Response(body=reply.data, status=reply.status, headers={"ETag": f'"{len(self.asked)}"'})

    async def run(self, *words: str | Path, data: bytes | None = None, where: tuple[str, ...] | None = None) -> Result:
        """Run `twinkey` against this site; it has an event loop of its own, so it runs in a thread."""
        place = ("--url", self.url, "--token", TOKEN) if where is None else where
        line = [*map(str, words), *place]
        return await asyncio.to_thread(CliRunner().invoke, main, line, input=data, env=ENVIRONMENT)


@asynccontextmanager
async def recorded_site(
    socket: Path | None = None, context: ssl.SSLContext | None = None
) -> AsyncIterator[RecordedSite]:
    """Serve a site on a free port of the loopback, over TLS with a `context`, and on a unix socket too."""
    site = RecordedSite()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", site.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    site.url = f"{'https' if context else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    if socket:
        await web.UnixSite(runner, str(socket)).start()
    try:
        yield site
    finally:
        await runner.cleanup()


def nobody() -> str:
    """Return an address of the loopback where nobody listens."""
    return "http://127.0.0.1:9"
