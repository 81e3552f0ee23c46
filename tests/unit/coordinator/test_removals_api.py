"""The removals that are remembered, asked for over HTTP from a coordinator that runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from licensing.ledger import KeyState
from tests.unit.coordinator.running import Coordinator, Site, ready
from tests.unit.coordinator.serving import AS_ADMIN, AUTH, PLATFORM, Client, Node, body_of, refusal, serving
from tests.unit.coordinator.stored import KEYS, SECOND, A, B, Hands
from tests.waiting import eventually

PATH = "/v1/licenses/removals"
VERIFICATION = "/v1/licenses/records/verification"
BACKUP = "/v1/site/backup"


@pytest.fixture
def hands() -> Hands:
    """Give the hands of the coordinator's clock."""
    return Hands()


@pytest.fixture
async def coordinator(site: Site, tmp_path: Path, hands: Hands) -> AsyncIterator[Coordinator]:
    """Give a coordinator that leads a site with K1 in node a."""
    async with Coordinator(site.client(), tmp_path, clock=hands.clock()).at_work() as found:
        await ready(found)
        yield found


@pytest.fixture
async def client(coordinator: Coordinator) -> AsyncIterator[Client]:
    """Give a client of it."""
    async with serving(coordinator) as found:
        yield found


async def ask(client: Client) -> dict[str, Any]:
    """Ask for the removals."""
    return await body_of(await client.get(PATH, headers=AUTH))


async def test_a_key_that_serves_is_told_without_a_removal(client: Client) -> None:
    """It is the one in use; no buffer runs, and the answer says how fresh it is."""
    body = await ask(client)
    assert body["inventories"] == [
        {
            "keyId": "K1",
            "node": A,
            "outSince": None,
            "lastRemoval": None,
            "bufferExpires": None,
            "bufferUncapped": None,
            "inUse": True,
        }
    ]
    assert (body["buffer"], body["stale"], body["asOf"]) == (None, False, "2026-03-01T00:00:00Z")
    assert body["leader"] == {"managementNodeUuid": A, "name": "Node A"}
    assert isinstance(body["reasons"], list)


async def test_a_removal_and_its_buffer_are_told(
    site: Site, coordinator: Coordinator, client: Client, hands: Hands
) -> None:
    """Once the removal has settled its beginning, the buffer it was granted and the one that runs are there."""
    await site.report(A)
    await ready(coordinator, KeyState.MISSING)
    assert (await ask(client))["inventories"][0]["outSince"] == "2026-03-01T00:00:00Z"
    hands.pass_by(60 * SECOND)
    await site.report(B)  # whoever writes lets the leader look
    body = await eventually(lambda: _with_buffer(client))
    (removal,) = body["inventories"]
    assert (removal["lastRemoval"], removal["outSince"]) == ("2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z")
    assert removal["bufferExpires"] == removal["bufferUncapped"] == "2026-03-31T00:00:00Z"
    assert body["buffer"] == {"expires": "2026-03-31T00:00:00Z"}


async def _with_buffer(client: Client) -> dict[str, Any] | None:
    body = await ask(client)
    return body if body["buffer"] else None


async def test_a_node_that_follows_answers_the_same(site: Site, coordinator: Coordinator, tmp_path: Path) -> None:
    """It sees the same ledger."""
    other = Coordinator(site.client(), tmp_path, B)
    async with other.at_work(), serving(coordinator) as here, serving(other, B) as there:
        await ready(other)
        assert await ask(there) == await ask(here)


async def test_without_etcd_what_was_seen_last_is_told_as_stale(site: Site, client: Client) -> None:
    """The answer says that it is old and why."""
    site.cluster.offline()
    stale = await eventually(lambda: _stale(client))
    assert ([each["keyId"] for each in stale["inventories"]], stale["leader"]) == (["K1"], None)
    assert "cannot reach etcd" in stale["reasons"][-1]


async def _stale(client: Client) -> dict[str, Any] | None:
    body = await ask(client)
    return body if body["stale"] else None


async def test_before_the_first_status_everybody_is_asked_to_wait() -> None:
    """503 with Retry-After."""
    node = Node()
    async with node.client:
        assert (await refusal(await node.get(PATH)))[:2] == (503, "not-ready")


@pytest.mark.parametrize("path", [PATH, VERIFICATION, BACKUP], ids=["removals", "verification", "backup"])
async def test_a_ledger_that_cannot_be_read_tells_nothing(site: Site, client: Client, path: str) -> None:
    """503 with when to ask again, and not an empty list; nor is it said that nothing was ever published."""
    site.put(KEYS.ledger, b"?")
    response = await eventually(lambda: _refused(client, path))
    assert (await refusal(response))[:2] == (503, "not-known")
    assert response.headers["Retry-After"]


async def _refused(client: Client, path: str) -> Any:
    response = await client.get(path, headers=AS_ADMIN)
    return response if response.status != 200 else None


async def test_only_readers_may_ask(client: Client) -> None:
    """A token without that scope is refused."""
    response = await client.get(PATH, headers={"Authorization": f"Bearer {PLATFORM}"})
    assert (await refusal(response))[:2] == (403, "forbidden")
