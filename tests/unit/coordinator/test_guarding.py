"""The guard: how often a caller may change something, and on whose behalf a browser may call."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request

from cluster.https import trusting
from coordinator.errors import ApiError
from coordinator.guarding import (
    COSTLY_PER_MINUTE,
    MOST_REMEMBERED,
    Guard,
    Rules,
    Throttle,
    network_of,
)
from coordinator.tokens import ON_CONSOLE, Caller, Token, TokenFile
from tests.certificates import Authority
from tests.https_server import answering, serving
from tests.unit.coordinator.stored import Hands

KNOWN = TokenFile(tuple(Token(name, hashlib.sha256(name.encode()).hexdigest(), ("admin",)) for name in ("one", "two")))
FEW = Rules().wrong_tokens_per_minute

Client = TestClient[web.Request, web.Application]


def test_so_many_at_once_and_then_one_by_one() -> None:
    """All of a minute's changes may come at once; then each has to wait for its share of the minute."""
    hands = Hands()
    throttle = Throttle(6, hands.boot)
    assert [throttle.take("one") for _ in range(7)] == [0, 0, 0, 0, 0, 0, 10]
    hands.up += 9
    assert throttle.take("one") == pytest.approx(1)
    hands.up += 1
    assert [throttle.take("one"), throttle.take("one")] == [0, pytest.approx(10)]


def test_a_long_rest_saves_no_more_than_a_minute() -> None:
    """Who was silent for a day may not make up for it."""
    hands = Hands()
    throttle = Throttle(2, hands.boot)
    throttle.take("one")
    hands.up += 86_400
    assert [throttle.take("one") > 0 for _ in range(3)] == [False, False, True]


def test_callers_do_not_share_their_minutes() -> None:
    """One caller's changes are not counted for another."""
    throttle = Throttle(1, Hands().boot)
    assert [throttle.take("one"), throttle.take("two")] == [0, 0]


def test_callers_who_may_do_all_again_are_forgotten() -> None:
    """Addresses come without end; those that have waited long enough are not kept."""
    hands = Hands()
    throttle = Throttle(60, hands.boot)
    for number in range(MOST_REMEMBERED):
        throttle.take(str(number))
    hands.up += 2
    throttle.take("late")
    assert list(throttle._left) == ["late"]


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("2001:db8:0:1:ffff::2", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
    ids=["v4", "mapped", "v6", "neighbour", "scoped", "none"],
)
def test_who_has_many_addresses_is_one_caller(peer: str, network: str) -> None:
    """With IPv6 one machine has as many addresses as it likes, but they are all of one network."""
    assert network_of(peer) == network


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """Give a client of a server behind a guard that knows the name twinkey.example and allows three changes."""
    async with TestClient(TestServer(guarded_app(Hands(), Rules(("Twinkey.example",), 3)))) as found:
        yield found


def guarded_app(hands: Hands, rules: Rules) -> web.Application:
    """Return a server behind a guard, which needs an admin."""
    guard = Guard(KNOWN, rules, hands.wall, hands.boot)

    async def call(request: web.Request) -> web.StreamResponse:
        try:
            caller = guard.admit(request, "admin")
            return web.Response(text=caller.name if caller else "")
        except ApiError as error:
            return error.response()

    app = web.Application()
    app.router.add_route("*", "/", call)
    return app


async def status(client: Client, method: str = "POST", caller: str = "one", **headers: str) -> int:
    """Return what a call is answered; underscores in the headers' names stand for dashes."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return (await client.request(method, "/", headers={"Authorization": f"Bearer {caller}"} | given)).status


async def test_wrong_tokens_are_slowed_down_and_right_ones_are_let_in(client: Client) -> None:
    """429 with Retry-After for the next wrong one on whichever call; nobody is locked out by somebody who guesses."""
    for n in range(FEW):
        assert await status(client, "GET", caller=f"guess {n}") == 401
    response = await client.get("/", headers={"Authorization": "OAuth another guess"})
    assert (response.status, response.headers["Retry-After"]) == (429, "6")
    assert await status(client, "GET", caller="one") == 200


async def test_who_shows_no_token_guesses_none(client: Client) -> None:
    """A call without one, or with another scheme, is 401 as often as it comes, and uses nothing up."""
    for header in ("", "Basic one", "Bearer") * FEW:
        assert (await client.get("/", headers={"Authorization": header})).status == 401
    assert await status(client, "GET", caller="a guess") == 401


def test_costly_calls_are_limited_by_caller_and_not_on_the_console() -> None:
    """So many at once and then one by one, whoever else asks; who owns the machine may keep it busy."""
    hands = Hands()
    guard = Guard(KNOWN, Rules(), hands.wall, hands.boot)
    for _ in range(COSTLY_PER_MINUTE):
        guard.limit_costly(Caller("one", ("read",)))
    with pytest.raises(ApiError) as refused:
        guard.limit_costly(Caller("one", ("read",)))
    assert (refused.value.http, refused.value.headers["Retry-After"]) == (429, "6")
    guard.limit_costly(Caller("two", ("read",)))
    for _ in range(COSTLY_PER_MINUTE + 1):
        guard.limit_costly(ON_CONSOLE)


async def test_too_many_changes_are_told_when_to_come_back(client: Client) -> None:
    """429 with Retry-After, for this caller alone; a call that is refused for its token does not count."""
    assert [await status(client, caller="wrong") for _ in range(4)] == [401] * 4
    assert [await status(client) for _ in range(4)] == [200, 200, 200, 429]
    assert await status(client, caller="two") == 200
    response = await client.post("/", headers={"Authorization": "Bearer one"})
    assert response.headers["Retry-After"] == "20"


@pytest.mark.parametrize(
    "host", ["twinkey.example", "twinkey.example:8441", "127.0.0.1:8441", "[::1]:8441", "localhost"]
)
async def test_a_page_of_this_node_may_call(client: Client, host: str) -> None:
    """By an address, or by a name that is known to be this node's, whatever is in front of it."""
    assert await status(client, Host=host, Origin=f"https://{host}") == 200


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("evil.example", "https://evil.example"),
        ("127.0.0.1", "https://127.0.0.1.evil.example"),
        ("127.0.0.1:8441", "http://127.0.0.1:8442"),
        ("twinkey.example", "null"),
        ("twinkey.example", ""),
        ("[::1", "http://[::1"),
    ],
)
async def test_a_page_of_another_origin_may_not(client: Client, host: str, origin: str) -> None:
    """Neither with another origin, nor with none, nor under a name that is not this node's."""
    assert await status(client, Host=host, Origin=origin) == 403


async def test_reading_and_callers_without_a_browser_are_not_asked(client: Client) -> None:
    """A proxy may give the node any name; a token is needed all the same."""
    assert await status(client, "GET", Host="any.example", Origin="https://other.example") == 200
    assert await status(client, Host="any.example") == 200


@pytest.mark.parametrize(("scheme", "expected"), [("https", 200), ("http", 403)])
async def test_a_node_of_https_has_no_page_of_plain_http(tmp_path: Path, scheme: str, expected: int) -> None:
    """Whoever is on the way could make one under this node's name, and work with the sessions of its visitors."""
    ca, cert, key = Authority().write(tmp_path, "http")
    async with answering(serving(cert, key), guarded_app(Hands(), Rules())) as port, ClientSession() as session:
        headers = {"Authorization": "Bearer one", "Origin": f"{scheme}://127.0.0.1:{port}"}
        url = f"https://127.0.0.1:{port}/"
        async with session.post(url, headers=headers, ssl=trusting(ca)) as answer:
            assert answer.status == expected


def test_the_console_stays_the_console() -> None:
    """Who was admitted on the socket is confirmed when its connection has gone; anybody else shows a token again."""
    request = make_mocked_request("GET", "/")
    guard = Guard(KNOWN, Rules(), Hands().wall)
    guard.confirm(request, ON_CONSOLE, "read")
    with pytest.raises(ApiError, match="no token"):
        guard.confirm(request, Caller("one", ("read",)), "read")
