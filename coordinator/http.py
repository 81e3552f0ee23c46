"""The HTTP application: which call goes where, who may make it, and how refusals look."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import web

from coordinator import metrics, probes, status_api
from coordinator.board import Board
from coordinator.errors import ApiError
from coordinator.tokens import Scope, TokenFile, authorise

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PREFIXES = ("/v1", "/zstack/v1")
"""The same calls under our own prefix and under the platform's."""

LARGEST_REQUEST = 1024 * 1024
UNAUTHORISED, FORBIDDEN = 401, 403


class Call(NamedTuple):
    """One call of the API: `scope` is what its token must allow."""

    method: str
    path: str
    handler: Handler
    scope: Scope


CALLS = (Call("GET", "/status", status_api.get_status, "read"),)
PROBES = {
    "/livez": probes.livez,
    "/readyz": probes.readyz,
    "/leader": probes.leader,
    "/metrics": metrics.serve,
}


def build_app(board: Board, tokens: TokenFile, leads: probes.Leads, measures: metrics.Metrics) -> web.Application:
    """Wire the calls to what they answer from."""
    app = web.Application(middlewares=[_answer_errors], client_max_size=LARGEST_REQUEST)
    app[status_api.BOARD] = board
    app[status_api.CLOSING] = asyncio.Event()
    app[probes.LEADS] = leads
    app[metrics.METRICS] = measures
    for path, probe in PROBES.items():
        app.router.add_get(path, probe)
    for call in CALLS:
        for prefix in PREFIXES:
            app.router.add_route(call.method, prefix + call.path, _guarded(call, tokens))
    app.on_shutdown.append(_let_waiters_go)
    return app


def _guarded(call: Call, tokens: TokenFile) -> Handler:
    async def guarded(request: web.Request) -> web.StreamResponse:
        authorise(request.headers.get("Authorization"), call.scope, tokens)
        return await call.handler(request)

    return guarded


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give every refusal the same shape, and count every answer."""
    began = time.monotonic()
    try:
        response = await handler(request)
    except ApiError as error:
        response = error.response()
        if error.http in (UNAUTHORISED, FORBIDDEN):
            log.warning("call refused", extra={"path": request.path, "peer": request.remote, "why": str(error)})
    except web.HTTPException as error:
        response = _plain_refusal(error).response()
    except Exception:
        log.exception("call failed method=%s path=%s", request.method, request.path)
        response = ApiError(
            500, "internal", "The call failed here.", hint="Ask again; the log of this node says more."
        ).response()
    resource = request.match_info.route.resource
    # what the caller makes up must not become a label: every new one would be kept for ever
    method, route = (request.method, resource.canonical) if resource else ("unknown", "unknown")
    request.app[metrics.METRICS].saw_request(method, route, response.status, time.monotonic() - began)
    return response


def _plain_refusal(error: web.HTTPException) -> ApiError:
    hints = {404: "Check the path of the call.", 405: f"Use {error.headers.get('Allow', 'another method')}."}
    allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    code = error.reason.lower().replace(" ", "-")
    return ApiError(
        error.status, code, f"{error.reason}.", hint=hints.get(error.status, "Correct the call."), headers=allow
    )


async def _let_waiters_go(app: web.Application) -> None:
    """End the long polls, so that a stop does not wait for them."""
    app[status_api.CLOSING].set()
    app[status_api.BOARD].wake()
