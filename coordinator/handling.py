"""What stands around the handler of every call: who may make it, how refusals look, and the count of its answers.

It is no middleware: aiohttp wraps those in layers that cost every call more than all that is done here.
"""

from __future__ import annotations

import logging
import time

from aiohttp import web

from coordinator.calls import ADMITTED, CALLER, Call, Handler
from coordinator.errors import ApiError, plain_refusal
from coordinator.guarding import Guard
from coordinator.metrics import Metrics

log = logging.getLogger(__name__)

REFUSED_CALLS = (401, 403, 429)
"""Answers that tell of somebody who may not call, or not so often."""


def handling(call: Call, route: str, guard: Guard, measures: Metrics) -> Handler:
    """Return what answers a call whose path is `route`."""

    async def handle(request: web.Request) -> web.StreamResponse:
        began = time.monotonic()
        try:
            caller = guard.admit(request, call.scope)
            if caller is not None:
                request[CALLER], request[ADMITTED] = caller.name, caller
            response = await call.handler(request)
        except ApiError as error:
            response = error.response()
            if error.http in REFUSED_CALLS:
                log.warning("call refused", extra={"path": request.path, "peer": request.remote, "why": str(error)})
        except web.HTTPException as error:
            response = plain_refusal(error).response()
        except Exception:
            log.exception("call failed method=%s path=%s", request.method, request.path)
            response = ApiError(
                500, "internal", "The call failed here.", hint="Ask again; the log of this node says more."
            ).response()
        measures.saw_request(request.method, route, response.status, time.monotonic() - began)
        return response

    return handle
