"""Draining a node, over HTTP at a coordinator that runs: what is refused, what is written, and who leads after it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cluster.drain import Drain
from cluster.memory import MemoryCluster
from cluster.store import Put, Refused, Unavailable
from cluster.values import decode_value, encode_value
from coordinator.drain import Undrainable, Wish, carry_out
from licensing.ledger import Site as StoredSite
from tests.unit.coordinator.running import Coordinator, Counting, Site, ready
from tests.unit.coordinator.serving import AS_ADMIN, AUTH, Client, body_of, refusal, serving
from tests.unit.coordinator.stored import KEYS, NOW, SITE_VALUE, TRIAL_START, A, B
from tests.waiting import eventually

DRAIN: dict[str, Any] = {"drain": {}}
FORCE: dict[str, Any] = {"drain": {"force": True}}
UNDRAIN: dict[str, Any] = {"undrain": {}}
MARK = encode_value(Drain("operator", NOW))


@pytest.fixture
async def coordinator(site: Site, tmp_path: Path) -> AsyncIterator[Coordinator]:
    """Give node a's coordinator, which leads."""
    async with Coordinator(site.client(), tmp_path).at_work() as found:
        await ready(found)
        yield found


@pytest.fixture
async def client(coordinator: Coordinator) -> AsyncIterator[Client]:
    """Give a client of it."""
    async with serving(coordinator) as found:
        yield found


async def act(client: Client, node: str, action: dict[str, Any]) -> dict[str, Any]:
    """Let an operator act on a node and return the answer."""
    return await body_of(await client.put(f"/v1/nodes/{node}/actions", json=action, headers=AS_ADMIN))


async def refused(client: Client, node: str, action: Any) -> tuple[int, str]:
    """Return how a call is refused."""
    return (await refusal(await client.put(f"/v1/nodes/{node}/actions", json=action, headers=AS_ADMIN)))[:2]


async def drained_in(client: Client) -> list[str]:
    """Return the nodes that the status shows as drained."""
    status = await body_of(await client.get("/v1/status", headers=AUTH))
    return [node["managementNodeUuid"] for node in status["nodes"] if node["drained"]]


async def test_a_drain_is_written_shown_and_taken_back(site: Site, client: Client) -> None:
    """The store says who wished it and when; it is answered when this node shows it; twice is as once."""
    assert (await act(client, B, DRAIN))["changed"]
    assert await drained_in(client) == [B]
    assert decode_value(KEYS.drain(B), site.cluster.entries[KEYS.drain(B)].value, Drain) == Drain("admin", NOW)
    assert not (await act(client, B, DRAIN))["changed"]
    answer = await act(client, B, UNDRAIN)
    assert (answer["managementNodeUuid"], answer["drained"], answer["changed"]) == (B, False, True)
    assert await drained_in(client) == []
    assert KEYS.drain(B) not in site.cluster.entries
    assert not (await act(client, B, UNDRAIN))["changed"]


async def test_self_is_the_node_that_is_asked(site: Site, client: Client) -> None:
    """On the console of a node nobody needs to know its uuid."""
    assert (await act(client, "self", DRAIN))["managementNodeUuid"] == A
    assert KEYS.drain(A) in site.cluster.entries


async def test_a_drained_leader_lets_the_other_lead(
    site: Site, coordinator: Coordinator, client: Client, tmp_path: Path
) -> None:
    """The other node leads at once, the drained one goes on answering, and after the undrain it can lead again."""
    async with Coordinator(site.client(), tmp_path, B).at_work() as other:
        await eventually(lambda: other.election.why == "another node leads")
        await act(client, A, DRAIN)
        await eventually(lambda: other.leads, within=1)
        assert coordinator.election.aside == "this node is drained"
        await ready(coordinator)
        assert (await client.get("/readyz")).status == 200
        await act(client, A, UNDRAIN)
    await eventually(lambda: coordinator.leads)


async def test_a_coordinator_that_starts_on_a_drained_node_waits(site: Site, tmp_path: Path) -> None:
    """The drain is heeded before the first campaign: for the other node, should it start at the same moment."""
    site.put(KEYS.site, SITE_VALUE)
    site.put(KEYS.drain(A), MARK)
    coordinator = Coordinator(site.client(), tmp_path)
    async with coordinator.at_work():
        await eventually(lambda: coordinator.election.why == "stands aside: this node is drained")
        assert coordinator.election.version == 0, "it never led"


async def test_a_drained_node_that_leads_makes_way_for_one_that_comes_back(
    site: Site, coordinator: Coordinator, client: Client
) -> None:
    """Drained by force it leads for want of another, until the other node's report is there again."""
    await site.silence(B)
    assert (await act(client, A, FORCE))["drained"]
    await eventually(lambda: coordinator.leads, within=10)
    terms = coordinator.election.version
    await site.report(B)
    await eventually(lambda: coordinator.election.version > terms, what="it steps down")


@pytest.mark.parametrize(
    ("node", "action", "http", "code"),
    [
        pytest.param("nobody", DRAIN, 404, "not-found", id="stranger"),
        pytest.param(B, {}, 400, "bad-body", id="neither"),
        pytest.param(B, DRAIN | UNDRAIN, 400, "bad-body", id="both"),
        pytest.param(B, {"drain": {"force": 1}}, 400, "bad-body", id="other-shape"),
    ],
)
async def test_what_makes_no_sense_is_refused(client: Client, node: str, action: Any, http: int, code: str) -> None:
    """A node that is no member, and a body that is no action."""
    assert await refused(client, node, action) == (http, code)


async def test_the_last_node_is_not_drained_unless_forced(site: Site, client: Client) -> None:
    """While the other one is drained or does not report nobody could take over; the reason is told."""
    site.put(KEYS.drain(B), MARK)
    assert await refused(client, A, DRAIN) == (409, "nobody-takes-over")
    await act(client, B, UNDRAIN)
    await site.silence(B)
    response = await client.put(f"/v1/nodes/{A}/actions", json=DRAIN, headers=AS_ADMIN)
    assert response.status == 409
    assert f"The other node {B} cannot be reached" in await response.text()
    assert KEYS.drain(A) not in site.cluster.entries
    assert (await act(client, A, FORCE))["changed"]


async def test_only_an_admin_may(client: Client) -> None:
    """A token that may read may not drain."""
    response = await client.put(f"/v1/nodes/{B}/actions", json=DRAIN, headers=AUTH)
    assert (await refusal(response))[0] == 403


async def test_without_the_store_it_is_refused(site: Site, client: Client) -> None:
    """The answer says that etcd is away and when to ask again."""
    site.cluster.offline()
    assert await refused(client, B, DRAIN) == (503, "store-unavailable")


class Racing(Counting):
    """A store in which, before each of the first commits, somebody else writes."""

    def __init__(self, cluster: MemoryCluster, *writes: Put) -> None:
        super().__init__(cluster)
        self._writes = list(writes)

    async def commit(self, *args: Any) -> int:
        """Let the other one be faster."""
        if self._writes:
            self.cluster.apply([self._writes.pop(0)])
        return await super().commit(*args)


BOTH = StoredSite("site-1", (A, B), TRIAL_START)


async def test_two_drains_at_once_leave_one_node(site: Site) -> None:
    """Who is second learns that the other node is drained by now, whatever was read before."""
    await site.report(A)
    await site.report(B)
    store = Racing(site.cluster, Put(KEYS.drain(B), MARK))
    with pytest.raises(Undrainable, match=f"The other node {B} is drained"):
        await carry_out(Wish(A, drained=True), "admin", NOW, store, KEYS, BOTH)
    assert KEYS.drain(A) not in site.cluster.entries


class Contended(Counting):
    """A store in which somebody else is always faster."""

    async def commit(self, *_: Any) -> int:
        """Refuse."""
        raise Refused({}, 1)


async def test_a_contended_store_is_not_fought_for_ever(site: Site) -> None:
    """After some attempts the call gives up, and can be made again."""
    await site.report(B)
    with pytest.raises(Unavailable):
        await carry_out(Wish(A, drained=True), "admin", NOW, Contended(site.cluster), KEYS, BOTH)


async def test_a_single_node_is_not_drained(site: Site) -> None:
    """A site of one node has nobody who could take over."""
    alone = StoredSite("site-1", (A,), TRIAL_START)
    with pytest.raises(Undrainable, match="only node"):
        await carry_out(Wish(A, drained=True), "admin", NOW, site.client(), KEYS, alone)
    assert await carry_out(Wish(A, drained=True, force=True), "admin", NOW, site.client(), KEYS, alone)
