"""The request code: what the vendor needs to know of this site; the same text from whichever node it is asked."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from msgspec import Meta

from coordinator.calls import JSON, SERVICES, TEXT, Call, Content, Services, as_json
from coordinator.errors import ApiError, not_ready
from coordinator.ordering import WaitingAnswer, give, json_answer, refuse, still_waiting
from coordinator.orders import RenewRequestCode
from licensing.model import Value
from licensing.request_code import BadRequestCode, parse

FILE_NAME = "twinkey-request-code.txt"


class RequestCodeAnswer(Value, frozen=True):
    """The text to send to the vendor, and what it says."""

    request_code: str
    site_id: str
    fingerprints: Annotated[tuple[str, ...], Meta(min_length=1)]
    nonce: str
    sequence: int


async def get_request_code(request: web.Request) -> web.Response:
    """`GET /licenses/request-code`: a text to download, or JSON where that is asked for."""
    return _answer(request, request.app[SERVICES])


async def renew_request_code(request: web.Request) -> web.Response:
    """`POST /licenses/request-code`: a new one; earlier ones stay usable for a while."""
    receipt = await give(request, RenewRequestCode())
    if receipt.outcome is None:
        return still_waiting(request, receipt.order_id)
    refuse(receipt.outcome)
    return _answer(request, request.app[SERVICES])


def _answer(request: web.Request, services: Services) -> web.Response:
    site = services.outlook.look().site
    if site is None:
        raise not_ready()
    if not site.request:
        hint = "Start the agents of all nodes and ask again."
        raise ApiError(503, "not-ready", "There is no request code yet.", hint=hint, headers={"Retry-After": "2"})
    if "application/json" not in request.headers.get("Accept", ""):
        headers = {"Content-Disposition": f'attachment; filename="{FILE_NAME}"', "Cache-Control": "no-cache"}
        return web.Response(text=site.request, content_type="text/plain", headers=headers)
    try:
        code = parse(site.request)
    except BadRequestCode as error:
        hint = "Ask for a new one: POST /v1/licenses/request-code."
        raise ApiError(500, "bad-request-code", error.text, hint=hint) from error
    return json_answer(RequestCodeAnswer(site.request, code.site_id, code.fingerprints, code.nonce, code.sequence))


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
