"""Probes without a token: is the process alive, can it answer, does it lead."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from coordinator.calls import AS_TEXT, Call
from coordinator.errors import not_ready
from coordinator.status_api import BOARD


class Leads(Protocol):
    """Tells whether this node's coordinator leads."""

    def __call__(self) -> bool:
        """Return whether it leads now."""


LEADS: web.AppKey[Leads] = web.AppKey("leads")


async def livez(request: web.Request) -> web.Response:  # noqa: ARG001 - aiohttp's signature
    """200 as long as the process turns."""
    return web.Response(text="alive\n")


async def readyz(request: web.Request) -> web.Response:
    """200 when there is an answer to serve, stale or not; 503 before."""
    if request.app[BOARD].answer is None:
        raise not_ready()
    return web.Response(text="ready\n")


async def leader(request: web.Request) -> web.Response:
    """200 on the leader, 503 elsewhere: for load balancers that want to reach it."""
    if request.app[LEADS]():
        return web.Response(text="leads\n")
    return web.Response(status=503, text="follows\n")


CALLS = (
    Call("GET", "/livez", livez, None, "Tell whether the process lives.", {200: AS_TEXT}),
    Call("GET", "/readyz", readyz, None, "Tell whether there is an answer to serve.", {200: AS_TEXT}, refuses=(503,)),
    Call("GET", "/leader", leader, None, "Tell whether this node leads.", {200: AS_TEXT, 503: AS_TEXT}),
)
