"""The request code: what the vendor needs to know of this site; the same text from whichever node it is asked.

One that exists is given out also while etcd is away; a new one needs a leader.
"""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from msgspec import Meta

from coordinator.answers import Told, age_of, shown, state, told
from coordinator.calls import JSON, SERVICES, TEXT, Call, Content, as_json
from coordinator.errors import ApiError, not_ready
from coordinator.ordering import WaitingAnswer, give, refuse, still_waiting
from coordinator.orders import RenewRequestCode
from licensing.request_code import BadRequestCode, parse

FILE_NAME = "twinkey-request-code.txt"


class RequestCodeAnswer(Told, frozen=True, kw_only=True):
    """The text to send to the vendor, and what it says."""

    request_code: str
    site_id: str
    fingerprints: Annotated[tuple[str, ...], Meta(min_length=1)]
    nonce: str
    sequence: int


async def get_request_code(request: web.Request) -> web.Response:
    """`GET /licenses/request-code`: a text to download, or JSON where that is asked for."""
    return _answer(request)


async def renew_request_code(request: web.Request) -> web.Response:
    """`POST /licenses/request-code`: a new one; earlier ones stay usable for a while."""
    receipt = await give(request, RenewRequestCode())
    if receipt.outcome is None:
        return still_waiting(request, receipt.order_id)
    refuse(receipt.outcome)
    return _answer(request)


def _answer(request: web.Request) -> web.Response:
    status, site = shown(request).status, request.app[SERVICES].outlook.known().site
    if site is None:
        raise not_ready()
    if not site.request:
        hint = "Start the agents of all nodes and ask again."
        raise ApiError(503, "not-ready", "There is no request code yet.", hint=hint, headers={"Retry-After": "2"})
    if "application/json" not in request.headers.get("Accept", ""):
        headers = {"Content-Disposition": f'attachment; filename="{FILE_NAME}"', **age_of(request)}
        return web.Response(text=site.request, content_type="text/plain", headers=headers)
    try:
        code = parse(site.request)
    except BadRequestCode as error:
        hint = "Ask for a new one: POST /v1/licenses/request-code."
        raise ApiError(500, "bad-request-code", error.text, hint=hint) from error
    body = RequestCodeAnswer(
        request_code=site.request,
        site_id=code.site_id,
        fingerprints=code.fingerprints,
        nonce=code.nonce,
        sequence=code.sequence,
        **told(status),
    )
    return state(request, body)


_EITHER: Content = {TEXT: str, JSON: RequestCodeAnswer}

CALLS = (
    Call(
        "GET",
        "/licenses/request-code",
        get_request_code,
        "read",
        "Download the request code to send to the vendor, or read it as JSON.",
        {200: _EITHER},
        refuses=(503,),
    ),
    Call(
        "POST",
        "/licenses/request-code",
        renew_request_code,
        "admin",
        "Make a new request code; earlier ones stay usable for a while.",
        {200: _EITHER, 202: as_json(WaitingAnswer)},
        refuses=(503,),
    ),
)
