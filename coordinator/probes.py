"""Probes without a token: is the process alive, can it answer, does it lead."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

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
