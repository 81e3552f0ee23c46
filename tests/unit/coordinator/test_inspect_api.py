"""The dry run of an upload, asked over HTTP from a coordinator that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from licensing.licence import Quota
from tests.unit.coordinator.running import Coordinator, Site, ready
from tests.unit.coordinator.serving import AS_ADMIN, Client, body_of, serving
from tests.unit.coordinator.stored import sealed

PATH = "/v1/licenses/inspect"


async def inspected(client: Client, file: bytes) -> dict[str, Any]:
    """Ask what a file would do."""
    return await body_of(await client.post(PATH, data=file, headers=AS_ADMIN))


async def test_the_quota_is_told_as_it_is_and_as_it_would_be(site: Site, tmp_path: Path) -> None:
    """Whoever applies a file that lowers it has seen that before; what is refused leaves it as it is."""
    async with Coordinator(site.client(), tmp_path).at_work() as coordinator, serving(coordinator) as client:
        await ready(coordinator)
        now = {"hosts": 10}
        lower = sealed(sequence=2, licence_id="L-2", quota=Quota(hosts=3, cpu_cores=64))
        good, bad = await inspected(client, lower), await inspected(client, b"no licence")
        assert (good["accepted"], good["quota"], good["after"]) == (True, now, {"quota": {"hosts": 3, "cpuCores": 64}})
        assert (bad["accepted"], bad["quota"], bad["after"]) == (False, now, {"quota": now})
