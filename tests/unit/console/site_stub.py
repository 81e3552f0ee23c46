"""A stand-in for a node's HTTP API that serves one status, for tests of what reads it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

TOKEN = "secret"

STATUS: dict[str, Any] = {
    "keyState": "Ready",
    "keyStateReason": "One USB key is inserted and works.",
    "license": {
        "name": "K1",
        "status": "Valid",
        "expires": "2027-05-01T00:00:00Z",
        "edition": "advanced-paid",
        "source": "usb-key",
        "keyId": "K1",
        "issued": "2026-05-01T00:00:00Z",
        "serviceExpires": "2026-06-01T00:00:00Z",
    },
    "buffer": None,
    "alerts": [],
    "restricted": False,
    "startAllowed": True,
    "banner": None,
    "nodes": [
        {
            "managementNodeUuid": "u-a",
            "name": "a",
            "reachable": True,
            "visibility": "live",
            "vip": True,
            "ukeys": [{"keyId": "K1", "reading": "ok", "reason": "", "assurance": "proven"}],
            "problem": "",
        },
        {
            "managementNodeUuid": "u-b",
            "name": "b",
            "reachable": False,
            "visibility": "stale",
            "vip": False,
            "ukeys": [],
            "problem": "It stopped reporting.",
        },
    ],
    "usage": {"hosts": 4, "cpuSockets": None, "reportedAt": "2026-05-01T10:00:00Z", "stale": False},
    "quota": {"hosts": 10},
    "leader": {"managementNodeUuid": "u-a", "name": "a"},
    "epoch": 7,
    "index": 12,
    "asOf": "2026-05-02T00:00:00Z",
    "stale": False,
    "reasons": ["One USB key is inserted and works.", "The licence of key K1 is valid."],
    "siteId": "demo",
    "aMemberOfTheFuture": 1,
}


def changed(**members: Any) -> dict[str, Any]:
    """Return the status with other members; those of `license` are merged."""
    licence = STATUS["license"] | members.pop("license", {})
    return STATUS | {"license": licence} | members


class SiteStub:
    """What it answers can be changed at any time; a long poll waits for the change."""

    def __init__(self) -> None:
        self.url = ""
        self.body = json.dumps(STATUS).encode()
        self.code = 200
        self.headers: dict[str, str] = {"Age": "3", "Date": "Sat, 02 May 2026 00:00:03 GMT"}
        self.asked: list[str] = []
        self._news = asyncio.Condition()

    async def show(self, status: dict[str, Any]) -> None:
        """Answer with this status from now on."""
        self.body = json.dumps(status).encode()
        async with self._news:
            self._news.notify_all()

    async def answer(self, request: web.Request) -> web.Response:
        """Answer as the real API does, as far as the tests need it."""
        self.asked.append(request.path_qs)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            error = {"error": {"code": "unauthorised", "description": "The call carries no token.", "hint": ""}}
            return web.json_response(error, status=401)
        if self._etag() == request.headers.get("If-None-Match"):
            async with self._news:
                await self._news.wait()
        headers = self.headers | {"ETag": self._etag()}
        return web.Response(body=self.body, status=self.code, headers=headers, content_type="application/json")

    def _etag(self) -> str:
        return f'"{hash(self.body)}"'


@asynccontextmanager
async def site_stub() -> AsyncIterator[SiteStub]:
    """Serve a stub on a free port of the loopback."""
    stub = SiteStub()
    application = web.Application()
    application.router.add_get("/v1/status", stub.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    stub.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield stub
    finally:
        await runner.cleanup()
