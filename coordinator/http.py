"""The HTTP application: which call goes where, who may make it, and how refusals look."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from aiohttp import web

from coordinator import (
    licences_api,
    metrics,
    nodes_api,
    openapi,
    page_files,
    probes,
    questions_api,
    records_api,
    records_csv,
    removal_api,
    removals_api,
    request_code_api,
    session_api,
    site_api,
    status_api,
    stream_api,
    synchronise_api,
    telling_time,
    uploads_api,
    verification_api,
)
from coordinator.calls import ADMITTED, AS_TEXT, CALLER, SERVICES, Call, Handler, Services, as_json
from coordinator.errors import ApiError
from coordinator.guarding import GUARD, Guard, Rules
from coordinator.tokens import TokenFile

log = logging.getLogger(__name__)

PREFIXES = ("/v1", "/zstack/v1")
"""The same calls under our own prefix and under the platform's."""

LARGEST_REQUEST = 1024 * 1024
REFUSED_CALLS = (401, 403, 429)
"""Answers that tell of somebody who may not call, or not so often."""


CALLS: tuple[Call, ...] = (
    *session_api.CALLS,
    *status_api.CALLS,
    *licences_api.CALLS,
    *removal_api.CALLS,
    *removals_api.CALLS,
    *records_api.CALLS,
    *records_csv.CALLS,
    *verification_api.CALLS,
    *questions_api.CALLS,
    *stream_api.CALLS,
    *uploads_api.CALLS,
    *request_code_api.CALLS,
    *synchronise_api.CALLS,
    *site_api.CALLS,
    *nodes_api.CALLS,
)
ROOT_CALLS: tuple[Call, ...] = (
    *page_files.CALLS,
    *probes.CALLS,
    Call("GET", "/metrics", metrics.serve, None, "Tell the figures for Prometheus.", {200: AS_TEXT}),
    Call("GET", "/openapi.json", openapi.serve, None, "Give this document.", {200: as_json(dict[str, Any])}),
)
"""Those that need no token and are at the root."""


def build_app(
    services: Services,
    tokens: TokenFile,
    leads: probes.Leads,
    measures: metrics.Metrics,
    rules: Rules = Rules(),  # noqa: B008 - a frozen value
) -> web.Application:
    """Wire the calls to what they answer from."""
    guard = Guard(tokens, rules, services.outlook.clock.now)
    app = web.Application(middlewares=[_answer_errors], client_max_size=LARGEST_REQUEST)
    app[SERVICES] = services
    app[status_api.BOARD] = services.board
    app[status_api.CLOSING] = asyncio.Event()
    app[probes.LEADS] = leads
    app[metrics.METRICS] = measures
    app[GUARD] = guard
    app[page_files.PAGE] = page_files.shipped()
    app[openapi.DOCUMENT] = openapi.document(CALLS, PREFIXES, ROOT_CALLS)
    for call in ROOT_CALLS:
        app.router.add_get(call.path, call.handler)
    for call in CALLS:
        for prefix in PREFIXES:
            app.router.add_route(call.method, prefix + call.path, _guarded(call, guard))
    app.on_response_prepare.append(telling_time.tell_time)
    app.on_shutdown.append(_let_waiters_go)
    return app


def _guarded(call: Call, guard: Guard) -> Handler:
    async def guarded(request: web.Request) -> web.StreamResponse:
        caller = guard.admit(request, call.scope)
        if caller is not None:
            request[CALLER], request[ADMITTED] = caller.name, caller
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
        if error.http in REFUSED_CALLS:
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
