"""How soon a licence that is uploaded is Valid on both nodes, beside two fenced transactions."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping

from tests.bench.bare import Bare, connected
from tests.bench.figures import Figure, at_most, compared
from tests.bench.row import Effort, Row
from tests.bench.sites import PATIENCE, listeners, running_site
from tests.integration.site.vendor import Vendor
from tests.measure.listening import Listener
from tests.site import KEYS, LiveSite

NODE = "b"
FENCE = "/floor/fence"


def upload(effort: Effort) -> Iterator[Figure]:
    """One licence after the other is uploaded, each an answer to the newest request code."""
    with running_site() as site:
        seconds = asyncio.run(_in_turn(site, effort.samples))
    yield from compared("upload", *seconds, {50: at_most(10), 99: None})


async def _in_turn(site: LiveSite, times: int) -> tuple[list[float], list[float]]:
    vendor, hears = Vendor(site), listeners(site)
    uploaded, written = list[float](), list[float]()
    async with connected(site.etcd.endpoints[0]) as client:
        epoch = await client.put(FENCE, b"")
        for _ in range(times):
            uploaded.append(await asyncio.to_thread(_upload, site, vendor, hears))
            written.append(await _write_twice(client, epoch, await client.read(KEYS.status)))
    return uploaded, written


def _upload(site: LiveSite, vendor: Vendor, hears: Mapping[str, Listener]) -> float:
    licence = vendor.licence()
    file = vendor.sign(licence)
    began = time.monotonic()
    answer = site.call(NODE, "POST", "/v1/licenses", file)
    if answer.status != 200:
        raise RuntimeError(f"the upload was refused: {json.loads(answer.body)}")

    def in_force(status: dict[str, object]) -> bool:
        shown = status["license"]
        return isinstance(shown, dict) and (shown["name"], shown["status"]) == (licence.name, "Valid")

    return max(listener.first(in_force, began, PATIENCE) for listener in hears.values()) - began


async def _write_twice(client: Bare, epoch: int, value: bytes) -> float:
    began = time.monotonic()
    await client.fenced(FENCE, epoch, [("/floor/order", value)])
    await client.fenced(FENCE, epoch, [("/floor/status", value)])
    return time.monotonic() - began


ROW = Row(
    "upload",
    "`POST /v1/licenses` → the licence is heard to be Valid from both nodes",
    "two fenced etcd transactions of a bare client",
    "p50 ≤ 10 ×",
    upload,
)
