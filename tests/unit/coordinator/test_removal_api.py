"""What pulling out a key would bring, asked over HTTP from a coordinator that runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from yarl import URL

from licensing.ledger import KeyState
from tests.unit.coordinator.running import Coordinator, Site, ready
from tests.unit.coordinator.serving import AUTH, PLATFORM, Client, Node, body_of, refusal, serving
from tests.unit.coordinator.stored import KEYS, A, B, good_key
from tests.waiting import eventually

PATH = "/licenses/ukeys/removal"
ODD_IDS = ["..", "a/b", "%2F", "{x}", "?&=+#", "a b", "é", "\u2028", "K" * 256]


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


def asking(key_id: str, prefix: str = "/v1") -> URL:
    """Return the address of the question, with everything in the id escaped that can be."""
    return URL(f"{prefix}{PATH}?keyId={quote(key_id, safe='')}", encoded=True)


async def ask(client: Client, key_id: str) -> dict[str, Any]:
    """Ask what the removal of a key would bring."""
    return await body_of(await client.get(asking(key_id), headers=AUTH))


async def test_the_removal_of_the_key_in_use_is_foretold(client: Client) -> None:
    """State, licence, buffer with its days, what comes after it, alerts and why; and how fresh that is."""
    body = await ask(client, "K1")
    removal = body["removal"]
    assert (removal["keyId"], removal["keyState"], removal["alerts"]) == ("K1", "Missing", ["key-missing"])
    assert (removal["license"]["status"], removal["license"]["keyId"]) == ("Valid", "K1")
    assert (removal["at"], removal["settled"]) == ("2026-03-01T00:00:00Z", "2026-03-01T00:01:00Z")
    assert (removal["buffer"], removal["daysLeft"]) == ({"expires": "2026-03-31T00:00:00Z"}, 30)
    assert removal["afterBuffer"]["status"] == "Expired"
    assert removal["reason"].startswith("First removal of this key")
    assert (body["asOf"], body["stale"]) == ("2026-03-01T00:00:00Z", False)
    assert body["leader"] == {"managementNodeUuid": A, "name": "Node A"}


async def test_asking_changes_nothing(coordinator: Coordinator, client: Client) -> None:
    """Nothing is written and the site stays as it is."""
    before = dict(coordinator.store.cluster.entries)
    await ask(client, "K1")
    assert dict(coordinator.store.cluster.entries) == before
    assert coordinator.status.key_state is KeyState.READY


async def test_both_prefixes_answer(client: Client) -> None:
    """Clients of the platform ask under its own prefix."""
    response = await client.get(asking("K1", "/zstack/v1"), headers=AUTH)
    assert await body_of(response) == await ask(client, "K1")


async def test_a_node_that_follows_answers_the_same(site: Site, coordinator: Coordinator, tmp_path: Path) -> None:
    """It needs no leader of its own to know the law."""
    other = Coordinator(site.client(), tmp_path, B)
    async with other.at_work(), serving(coordinator) as here, serving(other, B) as there:
        await ready(other)
        assert await ask(there, "K1") == await ask(here, "K1")


async def test_without_etcd_what_was_seen_last_is_told_as_stale(site: Site, client: Client) -> None:
    """The answer says that it is old and why."""
    site.cluster.offline()
    stale = await eventually(lambda: _stale(client))
    assert (stale["removal"]["keyState"], stale["leader"]) == ("Missing", None)
    assert "cannot reach etcd" in stale["reasons"][-1]


async def _stale(client: Client) -> dict[str, Any] | None:
    body = await ask(client, "K1")
    return body if body["stale"] else None


@pytest.mark.parametrize("key_id", ODD_IDS, ids=range(len(ODD_IDS)))
async def test_any_id_can_be_asked_about(site: Site, coordinator: Coordinator, client: Client, key_id: str) -> None:
    """Whatever a key calls itself, it arrives as it was meant."""
    await site.report(B, good_key(key_id))
    await ready(coordinator, KeyState.ABNORMAL)
    assert (await ask(client, key_id))["removal"]["keyId"] == key_id


async def test_a_key_that_is_not_inserted_is_not_found(site: Site, coordinator: Coordinator, client: Client) -> None:
    """404 with the ids of those that are."""
    await site.report(B, good_key("K2"))
    await ready(coordinator, KeyState.ABNORMAL)
    status, code, hint = await refusal(await client.get(asking("K3"), headers=AUTH))
    assert (status, code) == (404, "not-inserted")
    assert "K1, K2" in hint


@pytest.mark.parametrize(
    "query", ["", "?keyId=", f"?keyId={'K' * 257}", "?keyid=K1"], ids=["none", "empty", "long", "case"]
)
async def test_a_question_without_a_key_is_refused(client: Client, query: str) -> None:
    """400, and what is missing."""
    status, code, hint = await refusal(await client.get(f"/v1{PATH}{query}", headers=AUTH))
    assert (status, code) == (400, "bad-parameter")
    assert "keyId" in hint


async def test_before_the_first_status_everybody_is_asked_to_wait() -> None:
    """503 with Retry-After."""
    node = Node()
    async with node.client:
        response = await node.get(f"/v1{PATH}?keyId=K1")
        assert (await refusal(response))[:2] == (503, "not-ready")
        assert response.headers["Retry-After"] == "1"


@pytest.mark.parametrize("spoiled", [KEYS.ledger, KEYS.site], ids=["ledger", "site"])
async def test_what_cannot_be_read_foretells_nothing(site: Site, client: Client, spoiled: str) -> None:
    """503 with when to ask again, and not a guess."""
    site.put(spoiled, b"?")
    response = await eventually(lambda: _refused(client))
    assert (await refusal(response))[:2] == (503, "not-known")
    assert response.headers["Retry-After"]


async def _refused(client: Client) -> Any:
    response = await client.get(asking("K1"), headers=AUTH)
    return response if response.status != 200 else None


async def test_only_readers_may_ask(client: Client) -> None:
    """A token without that scope is refused."""
    response = await client.get(asking("K1"), headers={"Authorization": f"Bearer {PLATFORM}"})
    assert (await refusal(response))[:2] == (403, "forbidden")
