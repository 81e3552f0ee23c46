"""The platform reports usage and asks what it may do, over HTTP, from a coordinator that runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cluster.values import decode_value
from licensing.ledger import Usage
from tests.unit.coordinator.running import Coordinator, Counting, Site, ready
from tests.unit.coordinator.serving import AS_ADMIN, AUTH, PLATFORM, Client, body_of, refusal, serving
from tests.unit.coordinator.stored import KEYS, NOW, B
from tests.waiting import eventually

AS_PLATFORM = {"Authorization": f"OAuth {PLATFORM}"}


@pytest.fixture
async def coordinator(site: Site, tmp_path: Path) -> AsyncIterator[Coordinator]:
    """Give a coordinator that leads a site with K1 in node a, a licence for 10 hosts."""
    async with Coordinator(site.client(), tmp_path).at_work() as found:
        await ready(found)
        yield found


@pytest.fixture
async def client(coordinator: Coordinator) -> AsyncIterator[Client]:
    """Give a client of it."""
    async with serving(coordinator) as found:
        yield found


async def report(client: Client, **units: int) -> dict[str, Any]:
    """Report usage as the platform and return the answer."""
    return await body_of(await client.put("/v1/licenses/usage", json=units, headers=AS_PLATFORM))


async def ask(client: Client, operation: str, **delta: int) -> dict[str, Any]:
    """Ask whether an operation is allowed."""
    question = {"operation": operation} | ({"delta": delta} if delta else {})
    return await body_of(await client.post("/v1/licenses/authorize", json=question, headers=AUTH))


def stored(site: Site) -> Usage:
    """Return the stored usage."""
    return decode_value(KEYS.usage, site.cluster.entries[KEYS.usage].value, Usage)


# --- usage ---------------------------------------------------------------------------------------------------------


async def test_usage_is_stored_and_what_follows_is_published(
    site: Site, coordinator: Coordinator, client: Client
) -> None:
    """A unit left out keeps its value, and the leader takes the new figures from the store."""
    await report(client, hosts=4, vms=7)
    body = await report(client, hosts=11)
    assert body["usage"] == {"hosts": 11, "vms": 7, "reportedAt": "2026-03-01T00:00:00Z"}
    assert stored(site) == Usage(NOW, hosts=11, vms=7)
    await eventually(lambda: coordinator.status.restricted)
    assert not coordinator.status.start_allowed


async def test_reports_at_the_same_time_do_not_undo_one_another(site: Site, client: Client) -> None:
    """Each is written on top of the others."""
    units = ("hosts", "cpuSockets", "cpuCores", "vms")
    await asyncio.gather(*(report(client, **{unit: n}) for n, unit in enumerate(units)))
    assert stored(site) == Usage(NOW, hosts=0, cpu_sockets=1, cpu_cores=2, vms=3)


async def test_usage_is_stored_without_a_leader(site: Site, tmp_path: Path) -> None:
    """Nothing has to be decided for it: a node that sees no leader needs no more than etcd."""
    leading, alone = Coordinator(site.client(), tmp_path), Coordinator(site.client(), tmp_path, B)
    async with leading.at_work():
        await ready(leading)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(part.run()) for part in (alone.answering, alone.mirror)]
        await eventually(lambda: alone.status.stale)
        async with serving(alone, B) as client:
            assert (await report(client, hosts=3))["stale"] is True
        for task in tasks:
            task.cancel()
    assert stored(site).hosts == 3


async def test_usage_that_cannot_be_read_is_replaced(site: Site, client: Client) -> None:
    """A report heals what was stored in its place."""
    site.put(KEYS.usage, b"?")
    await report(client, hosts=3)
    assert stored(site) == Usage(NOW, hosts=3)


async def test_without_etcd_a_report_is_refused(site: Site, client: Client) -> None:
    """503 and when to send it again; nothing is kept that only this node would know."""
    site.cluster.offline()
    response = await client.put("/v1/licenses/usage", json={"hosts": 3}, headers=AS_PLATFORM)
    assert (await refusal(response))[:2] == (503, "store-unavailable")
    assert "Retry-After" in response.headers
    assert KEYS.usage not in site.cluster.entries


class Contested(Counting):
    """A client of the store whose usage is overwritten by somebody else before every commit, `rivals` times."""

    rivals = 0

    async def commit(self, conditions: Any, writes: Any) -> int:
        """Let a rival be faster."""
        if self.rivals and any(write.key == KEYS.usage for write in writes):
            self.rivals -= 1
            self.cluster.apply(writes)
        return await super().commit(conditions, writes)


async def test_a_report_does_not_compete_for_ever(site: Site, tmp_path: Path) -> None:
    """It tries again when somebody was faster, and after ten times says that it could not."""
    store = Contested(site.cluster)
    coordinator = Coordinator(store, tmp_path)
    async with coordinator.at_work(), serving(coordinator) as client:
        await ready(coordinator)
        store.rivals = 9
        await report(client, hosts=3)
        store.rivals = 10
        response = await client.put("/v1/licenses/usage", json={"hosts": 4}, headers=AS_PLATFORM)
        assert (await refusal(response))[0] == 503


BAD_REPORTS = [
    b"",
    b"{}",
    b'{"hosts":-1}',
    b'{"hosts":1.5}',
    b'{"hosts":NaN}',
    b'{"hosts":"1"}',
    b'{"guests":1}',
    b'{"hosts":1,"hosts":2}',
    b"[]",
    b"[" * 60_000,
]


@pytest.mark.parametrize("content", BAD_REPORTS, ids=lambda content: repr(content[:20]))
async def test_a_report_of_another_form_is_refused(site: Site, client: Client, content: bytes) -> None:
    """400, and nothing is written."""
    response = await client.put("/v1/licenses/usage", data=content, headers=AS_PLATFORM)
    assert (await refusal(response))[:2] == (400, "bad-body")
    assert KEYS.usage not in site.cluster.entries


async def test_a_report_that_is_too_large_is_refused(site: Site, client: Client) -> None:
    """413, and nothing is written."""
    response = await client.put("/v1/licenses/usage", data=b" " * 65_537, headers=AS_PLATFORM)
    assert (await refusal(response))[0] == 413
    assert KEYS.usage not in site.cluster.entries


async def test_only_a_token_for_usage_may_report(client: Client) -> None:
    """A reader's is refused, an admin's with that scope is not."""
    response = await client.put("/v1/licenses/usage", json={"hosts": 1}, headers=AUTH)
    assert (await refusal(response))[:2] == (403, "forbidden")
    assert (await client.put("/v1/licenses/usage", json={"hosts": 1}, headers=AS_ADMIN)).status == 200


# --- questions -----------------------------------------------------------------------------------------------------


async def test_what_the_quota_leaves_is_allowed_and_no_more(coordinator: Coordinator, client: Client) -> None:
    """Up to the quota yes, above it no, with the unit, the platform's code and what to do."""
    await report(client, hosts=9)
    await eventually(lambda: coordinator.status.usage)
    assert (await ask(client, "host.add", hosts=1))["allowed"] is True
    refused = await ask(client, "host.add", hosts=2)
    assert (refused["allowed"], refused["unit"], refused["code"]) == (False, "hosts", "LICENSE.1007")
    assert refused["reason"]
    assert refused["hint"]
    assert (refused["stale"], refused["asOf"]) == (False, "2026-03-01T00:00:00Z")


async def test_over_quota_only_what_lowers_usage_is_allowed(coordinator: Coordinator, client: Client) -> None:
    """The table of operations holds over HTTP, unknown operations included."""
    await report(client, hosts=11)
    await eventually(lambda: coordinator.status.restricted)
    asked = ("session.login", "vm.get", "license.install", "host.delete", "vm.create", "made.up")
    answers = {operation: (await ask(client, operation))["allowed"] for operation in asked}
    assert [operation for operation, allowed in answers.items() if allowed] == list(asked[:4])


async def test_questions_are_answered_while_etcd_is_away(site: Site, coordinator: Coordinator, client: Client) -> None:
    """From the last status, which says that it is stale."""
    site.cluster.offline()
    await eventually(lambda: coordinator.status.stale)
    body = await ask(client, "vm.create")
    assert (body["allowed"], body["stale"]) == (True, True)


BAD_QUESTIONS = {
    b"": "bad-body",
    b"{}": "bad-body",
    b'{"operation":1}': "bad-body",
    b'{"operation":"vm.create","delta":{"gpus":1}}': "bad-body",
    b'{"operation":"vm.create","more":1}': "bad-body",
    b'{"operation":"create"}': "bad-operation",
    b'{"operation":"vm.create\\n"}': "bad-operation",
}


@pytest.mark.parametrize(("content", "code"), BAD_QUESTIONS.items(), ids=lambda each: repr(each)[:30])
async def test_a_bad_question_is_refused(client: Client, content: bytes, code: str) -> None:
    """400, and it does not count as an answer."""
    response = await client.post("/v1/licenses/authorize", data=content, headers=AUTH)
    assert (await refusal(response))[:2] == (400, code)


async def test_answers_are_counted(coordinator: Coordinator, client: Client) -> None:
    """By result, and a refusal of the question itself is none."""
    for operation in ("vm.create", "host.add"):
        await ask(client, operation)
    await ask(client, "host.add", hosts=11)
    await client.post("/v1/licenses/authorize", json={}, headers=AUTH)
    sample = coordinator.metrics.registry.get_sample_value
    counted = {result: sample("twinkey_authorize_total", {"result": result}) for result in ("allowed", "refused")}
    assert counted == {"allowed": 2, "refused": 1}
