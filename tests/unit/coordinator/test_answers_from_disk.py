"""What a node that starts without etcd answers beyond its status: what its disk remembers, as old as that is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cluster.report import Fingerprint
from cluster.values import encode_value
from coordinator.orders import Install
from coordinator.snapshot import FILE, from_bytes
from licensing.ledger import KeyState
from tests.unit.coordinator.ordered import order
from tests.unit.coordinator.running import Coordinator, Site, ready
from tests.unit.coordinator.serving import AS_ADMIN, body_of, refusal, serving
from tests.unit.coordinator.stored import DAY, KEYS, NOW, A, B, Hands
from tests.unit.licensing.asked import SITE as ASKED_SITE
from tests.unit.licensing.asked import asked
from tests.waiting import eventually

CODE = "/v1/licenses/request-code"
TOLD = ("/v1/licenses", "/v1/licenses/ukeys", CODE)
AS_JSON = AS_ADMIN | {"Accept": "application/json"}
Told = dict[str, dict[str, Any]]
"""What a node answered, by path."""

OF_THE_MOMENT = ("stale", "leader", "reasons")


@pytest.fixture
async def remembered(tmp_path: Path) -> tuple[Site, Told]:
    """Give a licensed site whose etcd is away, all of which node a's disk remembers, and what the node answered."""
    site = Site()
    site.put(KEYS.site, encode_value(ASKED_SITE))
    for node in A, B:
        await site.report(node, fingerprint=Fingerprint(node, ("x",)))
    async with Coordinator(site.client(), tmp_path).at_work() as one, serving(one) as client:
        await ready(one, KeyState.NONE)
        site.put(KEYS.inbox("order-1"), encode_value(order(Install((asked().file,)), console=True)))
        await eventually(lambda: one.status.license.name == asked().licence.name)
        await eventually(lambda: from_bytes((tmp_path / A / FILE).read_bytes()) == one.memory.newest)
        told = {path: settled(await body_of(await client.get(path, headers=AS_JSON))) for path in TOLD}
    site.cluster.offline()
    return site, told


def settled(body: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without what it says of the moment."""
    return {name: value for name, value in body.items() if name not in OF_THE_MOMENT}


async def test_all_that_is_known_of_the_licence_is_told(remembered: tuple[Site, Told], tmp_path: Path) -> None:
    """For whom it is, when it was installed, and the request code: as before the restart, and said to be stale."""
    site, told = remembered
    clock = Hands(NOW + DAY).clock()
    async with Coordinator(site.client(), tmp_path, clock=clock).at_work() as one, serving(one) as client:
        await eventually(lambda: one.status)
        for path in TOLD:
            response = await client.get(path, headers=AS_JSON)
            body = await body_of(response)
            assert (settled(body), body["stale"]) == (told[path], True)
            assert int(response.headers["Age"]) >= DAY.total_seconds()
        response = await client.get(CODE, headers=AS_ADMIN)
        assert (response.status, await response.text()) == (200, told[CODE]["requestCode"])
        assert int(response.headers["Age"]) >= DAY.total_seconds()


async def test_what_needs_etcd_is_refused(remembered: tuple[Site, Told], tmp_path: Path) -> None:
    """A new request code, and what would need to know what the nodes see: 503, not an answer made up from nothing."""
    site, _ = remembered
    async with Coordinator(site.client(), tmp_path).at_work() as one, serving(one) as client:
        await eventually(lambda: one.status)
        for response in (
            await client.post(CODE, headers=AS_ADMIN),
            await client.post("/v1/licenses/inspect", data=asked().file, headers=AS_ADMIN),
            await client.get("/v1/licenses/ukeys/removal?keyId=K1", headers=AS_ADMIN),
            await client.get("/v1/site/backup", headers=AS_ADMIN),
        ):
            assert (await refusal(response))[0] == 503


async def test_before_the_disk_is_asked_nothing_is_told(tmp_path: Path) -> None:
    """A node that starts waits a moment for etcd, whose request code may be a newer one."""
    site = Site()
    site.cluster.offline()
    async with Coordinator(site.client(), tmp_path).at_work() as one, serving(one) as client:
        assert (await refusal(await client.get(CODE, headers=AS_ADMIN)))[:2] == (503, "not-ready")
