"""The HTTP interface: who is let in, what is answered, and how refusals look."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from coordinator import status_api
from coordinator.board import Board
from coordinator.guarding import GUARD
from coordinator.http import CALLS, PREFIXES, ROOT_CALLS, build_app
from coordinator.metrics import Metrics
from coordinator.tokens import TokenFile
from tests.unit.coordinator.serving import ADMIN, AUTH, PLATFORM, READER, TOKENS, Node, answer, refusal, services
from tests.unit.coordinator.stored import KEYS, NOW, SECOND, A, Hands, at_rest, publish, stored_report
from tests.waiting import eventually

AT_REST = publish(at_rest())
FIRST = answer(AT_REST)
SECOND_ANSWER = answer(publish(AT_REST | {KEYS.node(A): stored_report(A)}, NOW + SECOND))
STALE = answer(AT_REST, connected=False)


# --- who is let in -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Basic {READER}",
        READER,
        "Bearer unknown",
        f"Bearer {READER} ",
        f"Bearer {READER}x",
        "Bearer \udcff\udcfe",
        f"Bearer {TOKENS.tokens[0].sha256}",
    ],
)
async def test_without_a_known_token_nothing_is_told(node: Node, header: str | None) -> None:
    """Everything but a known token is 401 with a hint, and is counted; spaces around a token do not matter."""
    headers = {} if header is None else {"Authorization": header}
    response = await node.client.get("/v1/status", headers=headers)
    if header == f"Bearer {READER} ":
        assert response.status == 200
        return
    status, code, hint = await refusal(response)
    assert (status, code, response.headers["WWW-Authenticate"]) == (401, "unauthorised", "Bearer")
    assert "Authorization" in hint
    assert node.requests(method="GET", route="/v1/status", status="401") == 1


async def test_a_token_without_the_scope_is_refused_and_logged(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    """403 names the token and the scope, never the token's text."""
    response = await node.client.get("/v1/status", headers={"Authorization": f"Bearer {PLATFORM}"})
    assert (await refusal(response))[:2] == (403, "forbidden")
    (record,) = [record for record in caplog.records if record.message == "call refused"]
    assert "platform lacks the scope read" in record.__dict__["why"]
    assert PLATFORM not in str(record.__dict__)


@pytest.mark.parametrize(
    "header", [f"{s} {t}" for s in ("Bearer", "OAuth", "bearer", "OAUTH") for t in (READER, ADMIN)]
)
async def test_both_schemes_mean_the_same(node: Node, header: str) -> None:
    """Clients of the platform send OAuth, everybody else Bearer."""
    response = await node.client.get("/v1/status", headers={"Authorization": header})
    assert (response.status, await response.read()) == (200, FIRST.body)


@pytest.mark.parametrize("call", [each for each in CALLS if each.scope], ids=lambda call: f"{call.method} {call.path}")
async def test_no_call_answers_without_a_token(node: Node, call: Any) -> None:
    """Every call of the table but signing in is guarded under both prefixes."""
    path = call.path.translate({ord("{"): None, ord("}"): None})
    for prefix in PREFIXES:
        assert (await node.client.request(call.method, prefix + path)).status == 401


def test_only_signing_in_needs_no_token() -> None:
    """Nothing else under the prefixes is open to everybody."""
    assert [(call.method, call.path) for call in CALLS if call.scope is None] == [("POST", "/session")]


async def test_the_platforms_prefix_gives_identical_bytes(node: Node) -> None:
    """The same call under both prefixes is the same answer, tag and all."""
    ours, theirs = await node.get("/v1/status"), await node.get("/zstack/v1/status")
    assert await ours.read() == await theirs.read() == FIRST.body
    assert ours.headers["ETag"] == theirs.headers["ETag"] == FIRST.etag
    assert ours.content_type == "application/json"


# --- tags and age --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "status"),
    [(FIRST.etag, 304), (f"W/{FIRST.etag}", 304), (f'"x", {FIRST.etag}', 304), ("*", 304), ('"x"', 200), ("junk", 200)],
)
async def test_a_known_answer_is_not_sent_again(node: Node, tag: str, status: int) -> None:
    """304 without a body for the tag of the newest answer, 200 for any other."""
    response = await node.get("/v1/status", If_None_Match=tag)
    assert (response.status, response.headers["ETag"]) == (status, FIRST.etag)
    assert await response.read() == (b"" if status == 304 else FIRST.body)


async def test_the_age_is_a_header(node: Node) -> None:
    """Bodies are built once per change, so how old a stale one is stands in the header alone."""
    assert (await node.get("/v1/status")).headers["Age"] == "0"
    node.board.show(STALE)
    node.hands.pass_by(90 * SECOND)
    response = await node.get("/v1/status")
    assert (response.headers["Age"], (await response.json())["stale"]) == ("90", True)


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v1/status", AUTH, 200),
        ("/v1/status", AUTH | {"If-None-Match": FIRST.etag}, 304),
        ("/v1/session", AUTH, 200),
        ("/zstack/v1/licenses", AUTH, 200),
        ("/v1/status/stream", AUTH, 200),
        ("/v1/status", {}, 401),
        ("/v1/nothing", AUTH, 404),
    ],
    ids=["status", "known", "session", "licence", "stream", "refused", "nowhere"],
)
async def test_every_answer_tells_effective_time(node: Node, path: str, headers: dict[str, str], status: int) -> None:
    """In a header, to the second and in UTC, and it is not the time of a wall clock that is not believed."""
    node.hands.pass_by(90.9 * SECOND)
    await node.client.get("/livez")
    node.hands.at -= 3600 * SECOND
    async with node.client.get(path, headers=headers) as response:
        assert (response.status, response.headers["Twinkey-Time"]) == (status, "2026-03-01T00:01:30Z")


async def test_a_long_poll_tells_the_time_at_which_it_ends(node: Node) -> None:
    """What counts down by it would else lag behind by as long as the poll took."""
    poll = asyncio.create_task(node.get("/v1/status?wait=30&index=1"))
    await eventually(lambda: node.board.waiting)
    node.hands.pass_by(20 * SECOND)
    node.board.show(SECOND_ANSWER)
    async with asyncio.timeout(2):
        assert (await poll).headers["Twinkey-Time"] == "2026-03-01T00:00:20Z"


# --- the long poll -------------------------------------------------------------------------------------------------


async def test_a_long_poll_for_another_index_returns_at_once(node: Node) -> None:
    """Whoever knows an older answer, or one of a time before a restore, gets the newest without waiting."""
    async with asyncio.timeout(2):
        for index in (0, 2, 2**53):
            response = await node.get(f"/v1/status?wait=30&index={index}")
            assert await response.read() == FIRST.body


async def test_a_long_poll_without_what_is_known_returns_at_once(node: Node) -> None:
    """Waiting needs something to wait for."""
    async with asyncio.timeout(2):
        assert (await node.get("/v1/status?wait=30")).status == 200


async def test_a_long_poll_returns_with_the_next_answer(node: Node) -> None:
    """It waits while the answer is the known one, wakes on every change, and ends with another index."""
    polls = [asyncio.create_task(node.get("/v1/status?wait=30&index=1")) for _ in range(3)]
    await eventually(lambda: node.board.waiting == 3)
    node.board.show(STALE)  # the same index: not what was asked for
    await eventually(lambda: node.board.waiting == 3)
    assert not any(poll.done() for poll in polls)
    node.board.show(SECOND_ANSWER)
    async with asyncio.timeout(2):
        for poll in polls:
            assert (await (await poll).json())["index"] == 2


async def test_a_poll_whose_token_was_taken_out_is_told_nothing(node: Node) -> None:
    """It waits with a token that counts, and is refused with one that does not."""
    poll = asyncio.create_task(node.get("/v1/status?wait=30&index=1"))
    await eventually(lambda: node.board.waiting)
    node.app[GUARD].know(TokenFile(()))
    node.board.show(SECOND_ANSWER)
    async with asyncio.timeout(2):
        assert (await refusal(await poll))[:2] == (401, "unauthorised")


async def test_a_long_poll_with_a_tag_sees_staleness(node: Node) -> None:
    """With If-None-Match the same publication counts as news when it has become stale."""
    poll = asyncio.create_task(node.get("/v1/status?wait=30&index=1", If_None_Match=FIRST.etag))
    await eventually(lambda: node.board.waiting)
    node.board.show(STALE)
    async with asyncio.timeout(2):
        response = await poll
    assert (response.status, (await response.json())["stale"]) == (200, True)


@pytest.mark.parametrize(("header", "status"), [({}, 200), ({"If_None_Match": FIRST.etag}, 304)], ids=["index", "tag"])
async def test_a_long_poll_times_out_with_what_there_is(node: Node, header: dict[str, str], status: int) -> None:
    """After the time asked for, the known answer comes, or 304."""
    began = time.monotonic()
    response = await node.get("/v1/status?wait=0.2&index=1", **header)
    assert response.status == status
    assert 0.19 < time.monotonic() - began < 3


@pytest.mark.parametrize(
    "query",
    [
        "wait=-1",
        "wait=61",
        "wait=nan",
        "wait=inf",
        "wait=",
        "wait=soon",
        "index=-1",
        "index=1.5",
        "index=x",
        "index=" + "9" * 400,
        "index=" + "9" * 5000,
        "index=9007199254740993",
    ],
    ids=lambda query: query[:20],
)
async def test_a_bad_parameter_is_refused_with_what_is_allowed(node: Node, query: str) -> None:
    """400 names the parameter and its limits."""
    status, code, hint = await refusal(await node.get(f"/v1/status?{query}"))
    assert (status, code) == (400, "bad-parameter")
    assert hint.startswith(f"{query.partition('=')[0]} must be a number from 0 to")


# --- refusals ------------------------------------------------------------------------------------------------------


async def test_before_anything_was_published_everybody_is_asked_to_wait() -> None:
    """503 with Retry-After, not an empty answer."""
    node = Node()
    async with node.client:
        for path in ("/v1/status", "/v1/status?wait=5&index=1", "/readyz"):
            response = await node.get(path)
            assert (await refusal(response))[:2] == (503, "not-ready")
            assert response.headers["Retry-After"] == "1"


async def test_an_unknown_path_is_refused_in_json(node: Node) -> None:
    """404 has the shape of every refusal."""
    assert (await refusal(await node.get("/v1/nothing")))[:2] == (404, "not-found")


async def test_another_method_is_refused_with_the_right_one(node: Node) -> None:
    """405 says which method there is."""
    response = await node.client.post("/v1/status", headers=AUTH)
    status, code, hint = await refusal(response)
    assert (status, code) == (405, "method-not-allowed")
    assert "GET" in hint
    assert "GET" in response.headers["Allow"]


async def test_a_failure_here_is_told_without_its_particulars(caplog: pytest.LogCaptureFixture) -> None:
    """500 in the shape of every refusal; what happened stands in the log of this node alone."""
    board = Board([0.0].pop)  # a clock that works once
    board.show(STALE)
    metrics = Metrics(Board(Hands().boot), lambda: True, Hands().clock())
    app = build_app(services(board, Hands().clock()), TOKENS, lambda: False, metrics)
    async with TestClient(TestServer(app)) as client:
        response = await client.get("/v1/status", headers=AUTH)
        assert (await refusal(response))[:2] == (500, "internal")
        assert "pop" not in await response.text()
    assert "IndexError: pop from empty list" in caplog.text


async def test_what_callers_make_up_does_not_become_a_label(node: Node) -> None:
    """Strange methods and paths are counted as one, so that the figures cannot grow for ever."""
    methods = ("PROPFIND", "MKCOL", "SEARCH", "LOCK")
    for method in methods:
        await node.client.request(method, f"/v1/made-up-{method}", headers=AUTH)
        await node.client.request(method, "/v1/status", headers=AUTH)
    exposed = await (await node.client.get("/metrics")).text()
    assert not [word for word in (*methods, "made-up") if word in exposed]
    assert node.requests(method="unknown", route="unknown", status="404") == len(methods)


# --- probes --------------------------------------------------------------------------------------------------------


async def test_probes_need_no_token(node: Node) -> None:
    """Whoever watches a process, balances load or opens the page has no token."""
    assert {call.path: (await node.client.get(call.path)).status for call in ROOT_CALLS} == {
        "/": 200,
        "/page/{file}": 404,
        "/livez": 200,
        "/readyz": 200,
        "/leader": 503,
        "/metrics": 200,
        "/openapi.json": 200,
    }


async def test_only_the_leader_says_that_it_leads(node: Node) -> None:
    """`/leader` follows the election at every question."""
    node.leading = True
    assert (await node.client.get("/leader")).status == 200
    node.leading = False
    assert (await node.client.get("/leader")).status == 503


async def test_a_stale_answer_is_still_ready(node: Node) -> None:
    """A node that serves the last answer is not taken out of service."""
    node.board.show(STALE)
    assert (await node.client.get("/readyz")).status == 200


# --- the end -------------------------------------------------------------------------------------------------------


async def test_a_stop_lets_waiters_go() -> None:
    """Long polls end with what there is, and a stop does not wait for them."""
    node = Node()
    node.board.show(FIRST)
    async with node.client:
        poll = asyncio.create_task(node.get("/v1/status?wait=30&index=1"))
        await eventually(lambda: node.board.waiting)
        async with asyncio.timeout(2):
            await node.app.shutdown()
            assert await (await poll).read() == FIRST.body


async def test_a_poll_that_comes_during_a_stop_does_not_wait() -> None:
    """Once a stop has begun nobody waits any more."""
    node = Node()
    node.board.show(FIRST)
    async with node.client:
        node.app[status_api.CLOSING].set()
        async with asyncio.timeout(2):
            assert (await node.get("/v1/status?wait=30&index=1")).status == 200
