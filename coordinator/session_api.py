"""`/v1/session`: a browser's signing in and out. A token is given once, and from then on a cookie stands for it."""

from __future__ import annotations

import logging
from typing import Annotated

from aiohttp import web
from msgspec import Meta

from coordinator.answers import LARGEST_QUESTION
from coordinator.bodies import decode_body, read_within
from coordinator.calls import ADMITTED, Call, as_json
from coordinator.guarding import GUARD
from coordinator.sessions import cookie_header
from coordinator.tokens import Caller
from licensing.canonical import encode
from licensing.value import Time, Value

log = logging.getLogger(__name__)

_NOT_KEPT = {"Cache-Control": "no-store"}


class SignIn(Value, frozen=True):
    """The token of whoever signs in."""

    token: Annotated[str, Meta(min_length=1, max_length=4096)]


class SessionAnswer(Value, frozen=True):
    """Whose token it is, what that allows, and until when the session lasts; `expires` is None for a token itself."""

    name: str
    scopes: tuple[str, ...]
    expires: Time | None


async def post_session(request: web.Request) -> web.Response:
    """`POST /session`: answer with who that is and set the cookie; over TLS alone where the page came over TLS."""
    wish = decode_body(await read_within(request, LARGEST_QUESTION), SignIn)
    guard = request.app[GUARD]
    caller, value = guard.sign_in(request, wish.token)
    secure = request.secure or request.headers.get("Origin", "").startswith("https://")
    log.info("signed in", extra={"caller": caller.name, "peer": request.remote})
    cookie = cookie_header(value, guard.session_seconds, secure=secure)
    return _answer(caller, {"Set-Cookie": cookie})


async def get_session(request: web.Request) -> web.Response:
    """`GET /session`: who it is that calls."""
    return _answer(request[ADMITTED], {})


async def delete_session(request: web.Request) -> web.Response:
    """`DELETE /session`: the browser forgets the cookie; whoever has copied it is not stopped by that."""
    return web.Response(status=204, headers=_NOT_KEPT | {"Set-Cookie": cookie_header("", 0, secure=request.secure)})


def _answer(caller: Caller, headers: dict[str, str]) -> web.Response:
    body = encode(SessionAnswer(caller.name, caller.scopes, caller.expires))
    return web.Response(body=body, content_type="application/json", headers=_NOT_KEPT | headers)


CALLS: tuple[Call, ...] = (
    Call(
        "POST",
        "/session",
        post_session,
        None,
        "Sign a browser in with a token, for which a cookie stands from then on.",
        {200: as_json(SessionAnswer)},
        takes=as_json(SignIn),
        refuses=(401, 403, 429),
    ),
    Call(
        "GET",
        "/session",
        get_session,
        "any",
        "Tell whose token or session the call carries, and what it allows.",
        {200: as_json(SessionAnswer)},
    ),
    Call("DELETE", "/session", delete_session, "any", "Sign a browser out.", {204: {}}),
)
