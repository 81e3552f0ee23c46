"""Answers whatever is no call: refused in the shape of every refusal, and counted as unknown.

What has no path at all, such as CONNECT, aiohttp refuses in its own words before any router is asked.
"""

from __future__ import annotations

import time

from aiohttp import web

from coordinator.calls import Handler
from coordinator.errors import plain_refusal
from coordinator.metrics import Metrics

UNKNOWN = "unknown"
"""Method and route of these in the count: what a caller makes up must not become a label, each of which is kept."""


class Elsewhere(web.PlainResource):
    """Every path with every method; the router asks it last, since those of calls are longer or were there before."""

    def __init__(self, handler: Handler) -> None:
        super().__init__("/")
        self._everything = self.add_route("*", handler)

    async def resolve(self, request: web.Request) -> tuple[web.UrlMappingMatchInfo, set[str]]:  # noqa: ARG002 - aiohttp's
        """Take it."""
        return web.UrlMappingMatchInfo({}, self._everything), set()


def refuse_elsewhere(router: web.UrlDispatcher, measures: Metrics) -> None:
    """Let everything be refused for which the router has nothing yet: 405 where it has other methods, else 404."""
    resources = list(router.resources())

    async def refuse(request: web.Request) -> web.Response:
        began = time.monotonic()
        found = [await resource.resolve(request) for resource in resources]
        allowed = {method for _, methods in found for method in methods}
        error = web.HTTPMethodNotAllowed(request.method, allowed) if allowed else web.HTTPNotFound()
        measures.saw_request(UNKNOWN, UNKNOWN, error.status, time.monotonic() - began)
        return plain_refusal(error).response()

    router.register_resource(Elsewhere(refuse))
