"""How floors serve: as aiohttp does with no log of requests, which the product does not write either."""

from __future__ import annotations

from collections.abc import Awaitable

from aiohttp import web

from cluster.local_etcd import LOOPBACK


def serve(app: web.Application | Awaitable[web.Application], port: int) -> None:
    """Serve until killed."""
    web.run_app(app, host=LOOPBACK, port=port, access_log=None, print=None, handle_signals=False)
