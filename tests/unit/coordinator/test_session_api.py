"""Signing in and out over HTTP, and what a browser may do with its session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientResponse, DummyCookieJar
from aiohttp.test_utils import TestClient, TestServer

from coordinator.guarding import Rules
from tests.unit.coordinator.serving import ADMIN, AUTH, PLATFORM, READER, Node, answer, body_of, refusal
from tests.unit.coordinator.stored import SECOND, at_rest, publish

FIRST = answer(publish(at_rest()))
FEW = Rules().wrong_tokens_per_minute
LIFETIME = 8 * 3600 * SECOND
ENDS = "2026-03-01T08:00:00Z"


class Browser:
    """A browser without a mind of its own: it sends the cookie and the headers that the test says."""

    def __init__(self) -> None:
        self.node = Node()
        self.node.board.show(FIRST)
        self.client: TestClient[Any, Any] = TestClient(TestServer(self.node.app), cookie_jar=DummyCookieJar())
        self.cookie = ""

    @property
    def own_origin(self) -> str:
        """The origin of the node's own page."""
        return f"http://{self.client.host}:{self.client.port}"

    async def sign_in(self, token: str, **headers: str) -> ClientResponse:
        """Give a token, and keep the cookie that comes."""
        response = await self.call("POST", "/v1/session", json={"token": token}, headers=headers)
        if response.status == 200:
            self.cookie = response.headers["Set-Cookie"].partition(";")[0]
        return response

    async def call(self, method: str, path: str, **how: Any) -> ClientResponse:
        """Make a call with the cookie, where there is one."""
        cookie = {"Cookie": self.cookie} if self.cookie else {}
        return await self.client.request(method, path, **how | {"headers": cookie | how.get("headers", {})})


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Give a browser in front of a node that shows the first answer."""
    found = Browser()
    async with found.client:
        yield found


# --- signing in ----------------------------------------------------------------------------------------------------


async def test_who_signs_in_is_told_who_they_are_and_until_when(browser: Browser) -> None:
    """Name, scopes and end; the cookie lasts as long, and no cache keeps the answer."""
    response = await browser.sign_in(ADMIN)
    assert await body_of(response) == {"name": "admin", "scopes": ["read", "usage", "admin"], "expires": ENDS}
    assert response.headers["Set-Cookie"].split("; ")[1:] == ["Max-Age=28800", "Path=/", "HttpOnly", "SameSite=Strict"]
    assert response.headers["Cache-Control"] == "no-store"
    assert ADMIN not in browser.cookie


async def test_a_page_over_tls_gets_a_cookie_for_tls_alone(browser: Browser) -> None:
    """Something in front of the node may speak TLS; the browser says so with its origin."""
    origin = browser.own_origin.replace("http:", "https:")
    response = await browser.sign_in(READER, Origin=origin)
    assert response.headers["Set-Cookie"].endswith("; Secure")


async def test_the_session_can_be_asked_about(browser: Browser) -> None:
    """After a reload the page learns who it is; a token itself has no end."""
    signed_in = await body_of(await browser.sign_in(PLATFORM))
    assert await body_of(await browser.call("GET", "/v1/session")) == signed_in
    assert await body_of(await browser.call("GET", "/zstack/v1/session", headers=AUTH)) == {
        "name": "reader",
        "scopes": ["read"],
        "expires": None,
    }


async def test_without_either_there_is_no_session(browser: Browser) -> None:
    """401, with a challenge at which no browser opens a window."""
    response = await browser.call("GET", "/v1/session")
    assert (await refusal(response))[:2] == (401, "unauthorised")
    assert response.headers.getall("WWW-Authenticate") == ["Bearer"]


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"token":""}', b'{"token":1}', b'{"token":"x","token":"y"}', b"[" * 9999], ids=range(6)
)
async def test_what_is_no_token_is_refused(browser: Browser, body: bytes) -> None:
    """400 for another form, and it does not count as a wrong token."""
    for _ in range(FEW + 1):
        response = await browser.call("POST", "/v1/session", data=body)
        assert (await refusal(response))[:2] == (400, "bad-body")


async def test_too_many_wrong_tokens_have_to_wait_and_right_ones_do_not(browser: Browser) -> None:
    """401 for each of a few, then 429 until some time has passed; nobody can keep others out by guessing."""
    for _ in range(FEW):
        response = await browser.sign_in("a guess")
        assert (await refusal(response))[:2] == (401, "unauthorised")
        assert "Set-Cookie" not in response.headers
    response = await browser.sign_in("one more guess")
    assert (await refusal(response))[:2] == (429, "too-many-requests")
    assert 0 < int(response.headers["Retry-After"]) <= 6
    assert (await browser.sign_in(ADMIN)).status == 200


async def test_wrong_tokens_count_wherever_they_are_shown(browser: Browser) -> None:
    """What was tried in a header leaves less to try by signing in, and the other way round."""
    for n in range(FEW):
        response = await browser.call("GET", "/v1/status", headers={"Authorization": f"Bearer guess {n}"})
        assert response.status == 401
    assert (await browser.sign_in("a guess")).status == 429
    response = await browser.call("GET", "/v1/status", headers={"Authorization": "Bearer a guess"})
    assert (await refusal(response))[:2] == (429, "too-many-requests")
    assert (await browser.call("GET", "/v1/status", headers=AUTH)).status == 200


async def test_right_tokens_can_be_given_as_often_as_one_likes(browser: Browser) -> None:
    """Only wrong ones count."""
    for _ in range(3 * FEW):
        assert (await browser.sign_in(READER)).status == 200


async def test_a_page_of_another_site_signs_nobody_in(browser: Browser) -> None:
    """Else somebody would work in another one's name without knowing it."""
    response = await browser.sign_in(ADMIN, Origin="https://evil.example")
    assert (await refusal(response))[:2] == (403, "foreign-origin")
    response = await browser.sign_in(ADMIN, **{"Sec-Fetch-Site": "cross-site"})
    assert (await refusal(response))[:2] == (403, "foreign-origin")


# --- with a session ------------------------------------------------------------------------------------------------


async def test_a_session_may_what_its_token_may(browser: Browser) -> None:
    """Its scopes are the token's, under both prefixes."""
    await browser.sign_in(READER)
    assert (await browser.call("GET", "/v1/status")).status == 200
    assert (await browser.call("GET", "/zstack/v1/status")).status == 200
    own = {"Origin": browser.own_origin}
    response = await browser.call("POST", "/v1/licenses", data=b"x", headers=own)
    assert (await refusal(response))[:2] == (403, "forbidden")


async def test_a_header_wins_over_the_cookie(browser: Browser) -> None:
    """Also one that is wrong: what is meant is not guessed at, and the session stays."""
    await browser.sign_in(ADMIN)
    assert (await body_of(await browser.call("GET", "/v1/session", headers=AUTH)))["name"] == "reader"
    response = await browser.call("GET", "/v1/session", headers={"Authorization": "Bearer unknown"})
    assert (await refusal(response))[:2] == (401, "unauthorised")
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, False),
        ({"Origin": "OWN"}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "OWN", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "OWN", "Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
    ],
    ids=["nothing", "origin", "site", "both", "contrary", "other-port", "null", "cross-site"],
)
async def test_a_change_must_come_from_the_page(browser: Browser, headers: dict[str, str], *, allowed: bool) -> None:
    """The browser sends the cookie by itself, so it has to say for which page; a token says enough."""
    await browser.sign_in(ADMIN)
    given = {name: browser.own_origin if value == "OWN" else value for name, value in headers.items()}
    response = await browser.call("POST", "/v1/licenses/inspect", data=b"no licence", headers=given)
    assert (response.status != 403) == allowed
    if not allowed:
        assert (await refusal(response))[1] == "foreign-origin"
    by_token = {"Authorization": f"Bearer {ADMIN}"}
    assert (await browser.call("POST", "/v1/licenses/inspect", data=b"no licence", headers=by_token)).status != 403


async def test_reading_needs_no_word_of_the_page(browser: Browser) -> None:
    """No other site's page can read what is answered."""
    await browser.sign_in(READER)
    assert (await browser.call("GET", "/v1/status")).status == 200


# --- the end of it -------------------------------------------------------------------------------------------------


async def test_a_session_that_has_ended_is_told_so(browser: Browser) -> None:
    """401 with a code of its own, and the browser forgets the cookie; until the very end it was good."""
    await browser.sign_in(READER)
    browser.node.hands.pass_by(LIFETIME - SECOND)
    assert (await browser.call("GET", "/v1/status")).status == 200
    browser.node.hands.pass_by(SECOND)
    for path in ("/v1/status", "/v1/session", "/v1/status/stream"):
        response = await browser.call("GET", path)
        status, code, hint = await refusal(response)
        assert (status, code, response.headers["WWW-Authenticate"]) == (401, "session-expired", "Bearer")
        assert "Sign in again" in hint
        assert response.headers["Set-Cookie"].startswith("twinkey=; Max-Age=0;")


@pytest.mark.parametrize("cookie", ["twinkey=", "twinkey=junk", 'twinkey="', "twinkey=é.1.x"], ids=range(4))
async def test_a_cookie_that_says_nothing_is_an_ended_session(browser: Browser, cookie: str) -> None:
    """The page can tell a session that ended from never having signed in; neither is let in."""
    browser.cookie = cookie
    response = await browser.call("GET", "/v1/status")
    assert response.status == 401
    assert (await refusal(response))[1] in {"session-expired", "unauthorised"}


async def test_who_signs_out_is_forgotten(browser: Browser) -> None:
    """204 without a body, and the cookie is cleared; another site's page cannot do it."""
    await browser.sign_in(READER)
    assert (await browser.call("DELETE", "/v1/session")).status == 403
    response = await browser.call("DELETE", "/v1/session", headers={"Origin": browser.own_origin})
    assert (response.status, await response.read()) == (204, b"")
    assert response.headers["Set-Cookie"].startswith("twinkey=; Max-Age=0; Path=/;")


async def test_signing_in_again_is_not_stopped_by_an_old_cookie(browser: Browser) -> None:
    """The browser sends what it still has."""
    await browser.sign_in(READER)
    browser.node.hands.pass_by(LIFETIME)
    assert (await browser.sign_in(ADMIN)).status == 200
    assert (await body_of(await browser.call("GET", "/v1/session")))["name"] == "admin"
