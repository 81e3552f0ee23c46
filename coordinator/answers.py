"""What answers of the API have in common: how old the state they tell is, and the refusals they share."""

from __future__ import annotations

import logging
from typing import Any

from aiohttp import web

from cluster.store import StoreError
from coordinator.board import Answer, StatusBody
from coordinator.calls import SERVICES
from coordinator.errors import ApiError, not_ready
from coordinator.published import Leader
from coordinator.ready import ENDING, JSON_TYPE, OK, ready, takes_ready
from licensing.canonical import encode
from licensing.value import Time, Value

log = logging.getLogger(__name__)

LONGEST_QUOTE = 300
LARGEST_QUESTION = 64 * 1024
"""Bytes of a body that carries no files."""


class Told(Value, frozen=True, kw_only=True):
    """What every answer about state says of itself: see `coordinator.board.StatusBody`."""

    as_of: Time
    stale: bool
    leader: Leader | None
    reasons: tuple[str, ...]


def shown(request: web.Request) -> Answer:
    """Return the board's answer.

    Raises:
        ApiError: 503, nothing was published yet.
    """
    answer = request.app[SERVICES].board.answer
    if answer is None:
        raise not_ready()
    return answer


def told(status: StatusBody) -> dict[str, Any]:
    """Return the members of `Told` for a status."""
    return {name: getattr(status, name) for name in Told.__struct_fields__}


def state(request: web.Request, body: Value) -> web.Response:
    """Answer with a body about state; like the status it has its age in a header."""
    return state_of(request, encode(body))


def state_of(request: web.Request, body: bytes) -> web.Response:
    """Answer with a body about state that is JSON already."""
    headers = age_of(request) | JSON_TYPE
    if takes_ready(request):
        return ready(OK, headers, body, request.app[ENDING].lines())
    return web.Response(body=body, headers=headers)


def age_of(request: web.Request) -> dict[str, str]:
    """Return the headers that say for how many seconds what is told may be out of date."""
    return {"Age": str(int(request.app[SERVICES].board.age)), "Cache-Control": "no-cache"}


def bad_body(why: str) -> ApiError:
    """A body that is not what the call takes."""
    return ApiError(
        400,
        "bad-body",
        "The body of the call cannot be used.",
        details=why[:LONGEST_QUOTE],
        hint="Send the JSON that the documentation of the call shows.",
    )


def store_away(error: StoreError) -> ApiError:
    """The store did not do what the call needs."""
    log.warning("store refused a call", extra={"why": str(error)})
    return ApiError(
        503,
        "store-unavailable",
        "etcd does not do for this node what the call needs.",
        hint="Ask again in a moment; if it stays so, check etcd and the network of this node.",
        headers={"Retry-After": "2"},
    )
