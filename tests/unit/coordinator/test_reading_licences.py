"""What the platform reads of the licence over HTTP, from a coordinator that runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from coordinator.board import Board
from coordinator.http import build_app
from coordinator.metrics import Metrics
from licensing.ledger import KeyState
from tests.unit.coordinator.running import Coordinator, Site, ready
from tests.unit.coordinator.serving import AUTH, TOKENS, Client, body_of, refusal, services, serving
from tests.unit.coordinator.stored import KEYS, SITE, A, B, Hands, good_key
from tests.waiting import eventually

STATE = ["/licenses", "/licenses/addons", "/licenses/capabilities", "/licenses/ukeys"]


@pytest.fixture
async def coordinator(site: Site, tmp_path: Path) -> AsyncIterator[Coordinator]:
    """Give a coordinator that leads a site with K1 in node a."""
    async with Coordinator(site.client(), tmp_path).at_work() as found:
        await ready(found)
        yield found


@pytest.fixture
async def client(coordinator: Coordinator) -> AsyncIterator[Client]:
    """Give a client of it."""
    async with serving(coordinator) as found:
        yield found


async def test_the_licence_in_force_is_told(client: Client) -> None:
    """The inventory is that of the key in use, with no additions, under both prefixes and schemes."""
    body = await body_of(await client.get("/v1/licenses", headers=AUTH))
    inventory = body["inventory"]
    assert (inventory["uuid"], inventory["keyId"], inventory["managementNodeUuid"]) == ("L-1", "K1", A)
    assert (inventory["expiredDate"], inventory["platformId"]) == ("2027-01-01T00:00:00Z", SITE)
    assert body["additions"] == []
    oauth = {name: value.replace("Bearer", "OAuth") for name, value in AUTH.items()}
    assert await body_of(await client.get("/zstack/v1/licenses", headers=oauth)) == body


@pytest.mark.parametrize("path", STATE)
async def test_every_answer_about_state_says_how_old_it_is(site: Site, client: Client, path: str) -> None:
    """Who leads, as of when, and once etcd is away that it is stale and why; the rest stays as it was."""
    fresh = await body_of(await client.get(f"/v1{path}", headers=AUTH))
    assert (fresh["stale"], fresh["asOf"]) == (False, "2026-03-01T00:00:00Z")
    assert fresh["leader"] == {"managementNodeUuid": A, "name": "Node A"}
    site.cluster.offline()
    response = await eventually(lambda: _stale(client, path))
    stale = await body_of(response)
    assert "cannot reach etcd" in stale["reasons"][-1]
    about = ("stale", "leader", "reasons")
    assert {n: v for n, v in stale.items() if n not in about} == {n: v for n, v in fresh.items() if n not in about}
    assert response.headers["Age"] == "0"


async def _stale(client: Client, path: str) -> ClientResponse | None:
    response = await client.get(f"/v1{path}", headers=AUTH)
    return response if (await body_of(response))["stale"] else None


async def test_what_the_licence_gives_is_told(client: Client) -> None:
    """The capabilities are those of the edition in force."""
    body = await body_of(await client.get("/v1/licenses/capabilities", headers=AUTH))
    assert body["capabilities"]["edition"] == "Basic Edition - Paid"
    assert body["capabilities"]["restricted"] is False


async def test_there_are_no_addons(client: Client) -> None:
    """Every edition is one licence."""
    assert (await body_of(await client.get("/v1/licenses/addons", headers=AUTH)))["addons"] == []


ACTIONS = [
    {"getLicenseUKeyStatus": {}},
    {"params": {}},
    {"params": {"anything": 1}, "systemTags": [], "userTags": []},
]


@pytest.mark.parametrize("action", ACTIONS, ids=str)
async def test_the_keys_are_told_to_the_platforms_clients(client: Client, action: dict[str, object]) -> None:
    """Both names that clients use for the action are taken, with the tags that they add."""
    body = await body_of(await client.post("/zstack/v1/licenses/actions", json=action, headers=AUTH))
    assert body["inventories"] == [{"managementNodeUuid": A, "keyId": "K1", "status": "Ready", "assurance": "copyable"}]


async def test_the_keys_are_told_with_their_readings(site: Site, coordinator: Coordinator, client: Client) -> None:
    """The same rows, with what came of reading each key, and the state that the site is in and why."""
    await site.report(B, good_key("K2"))
    await ready(coordinator, KeyState.ABNORMAL)
    body = await body_of(await client.get("/v1/licenses/ukeys", headers=AUTH))
    assert body["inventories"] == [
        {
            "managementNodeUuid": node,
            "keyId": key,
            "status": "Abnormal",
            "assurance": "copyable",
            "reading": "ok",
            "reason": "",
        }
        for node, key in ((A, "K1"), (B, "K2"))
    ]
    assert body["keyState"] == "Abnormal"
    assert body["keyStateReason"]


BAD_ACTIONS = [b"", b"{}", b"[]", b'{"params":1}', b'{"reloadLicense":{}}', b"\xff", b"[" * 60_000, b'{"params":{}']


@pytest.mark.parametrize("content", BAD_ACTIONS, ids=lambda content: repr(content[:20]))
async def test_another_action_is_refused(client: Client, content: bytes) -> None:
    """400 for everything that does not ask for the keys."""
    response = await client.post("/v1/licenses/actions", data=content, headers=AUTH)
    assert (await refusal(response))[:2] == (400, "bad-body")


async def test_before_the_first_status_everybody_is_asked_to_wait() -> None:
    """503 with Retry-After, not a site without a licence."""
    hands = Hands()
    board = Board(hands.boot)
    metrics = Metrics(board, lambda: True, hands.clock())
    app = build_app(services(board, hands.clock()), TOKENS, lambda: False, metrics)
    async with TestClient(TestServer(app)) as client:
        asked = [("GET", path, b"") for path in (*STATE, "/status/stream")]
        asked += [
            ("POST", "/licenses/actions", b'{"params":{}}'),
            ("POST", "/licenses/authorize", b'{"operation":"a.b"}'),
        ]
        for method, path, content in asked:
            response = await client.request(method, f"/v1{path}", data=content, headers=AUTH)
            assert (await refusal(response))[:2] == (503, "not-ready")
            assert response.headers["Retry-After"] == "1"


async def test_a_ledger_that_cannot_be_read_leaves_the_rest_of_the_answer(site: Site, client: Client) -> None:
    """What the last status said is still told; only what the ledger alone knows is missing."""
    site.put(KEYS.ledger, b"?")
    body = await body_of(await eventually(lambda: _stale(client, "/licenses")))
    assert (body["inventory"]["keyId"], body["inventory"]["expired"]) == ("K1", False)
    assert body["inventory"]["uuid"] is None
