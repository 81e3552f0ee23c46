"""How soon a plugged key is published on both nodes, beside the least that etcd takes for it."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench.bare import Bare, Watch, connected
from tests.bench.figures import Figure, at_most, compared
from tests.bench.processes import floor
from tests.bench.row import Effort, Row
from tests.bench.sites import PATIENCE, listeners, running_site, told
from tests.measure.listening import Listener, Status
from tests.site import KEYS, LiveSite, let_pass
from usbwatch import simulated
from usbwatch.simulated_key import SimulatedKey, key_path

REST = 0.3
"""Seconds before all that is measured: what the last one set off has ended, and the machine is as cold for it."""


def plug_to_published(effort: Effort) -> Iterator[Figure]:
    """A key is plugged in, and pulled out again, as often as there are samples."""
    with running_site() as site:
        plugged, written, handed_on = asyncio.run(_in_turn(site, effort.samples))
    yield from compared("plug_to_published", plugged, written, {50: at_most(3), 99: at_most(5)})
    yield from compared("plug_to_published.by_hand", plugged, handed_on, {50: None, 99: None})


async def _in_turn(site: LiveSite, times: int) -> tuple[list[float], list[float], list[float]]:
    hears, key = listeners(site), site.new_key("K1")
    plugged, written, handed_on = list[float](), list[float](), list[float]()
    async with connected(site.etcd.endpoints[0]) as client:
        await asyncio.to_thread(plug, site, hears, key)  # the first one ends the trial, too
        report, status = await client.read(site.report_key("a")), await client.read(KEYS.status)
        await asyncio.to_thread(pull, site, hears, key)
        with chain(site, report, told(site, "a", "/v1/status")[2]) as hand_on:
            async with client.watching("/floor/report") as reports, client.watching("/floor/status") as statuses:
                for _ in range(times):
                    plugged.append(await asyncio.to_thread(plug_and_pull, site, hears, key))
                    await asyncio.to_thread(let_pass, REST)
                    written.append(await write_twice(client, reports, statuses, report, status))
                    handed_on.append(await asyncio.to_thread(hand_on))
    return plugged, written, handed_on


@contextmanager
def chain(site: LiveSite, report: bytes, status: bytes) -> Iterator[Callable[[], float]]:
    """Run bare processes that do only what has to be handed on; yield what returns how many seconds that takes."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, aside = Path(name, "bus"), Path(name, "key")
        folder.mkdir()
        (folder / "report").write_bytes(report)
        (folder / "status").write_bytes(status)
        roles = ("agent", "leader", "board")
        urls = [stack.enter_context(floor("chain", role, site.etcd.endpoints[0], name + "/bus"))[0] for role in roles]
        hears = [Listener(int(url.rpartition(":")[2]), site.site.token) for url in urls[1:]]

        def hand_on() -> float:
            let_pass(REST)
            aside.touch()
            began = time.monotonic()
            aside.rename(folder / aside.name)
            return max(listener.first(lambda _: True, began, PATIENCE) for listener in hears) - began

        yield hand_on


def plug_and_pull(site: LiveSite, hears: Mapping[str, Listener], key: SimulatedKey) -> float:
    """Plug a key in and pull it out again; return the seconds until all nodes showed its licence."""
    began, heard = plug(site, hears, key)
    pull(site, hears, key)
    return heard - began


def plug(site: LiveSite, hears: Mapping[str, Listener], key: SimulatedKey) -> tuple[float, float]:
    """Plug a key in; return when, and the moment at which all nodes show its licence."""
    let_pass(REST)
    bus = site.nodes["a"].bus
    aside = bus.with_name("aside")
    simulated.plug(aside, key)
    ready = key_path(aside, key.key_id)  # the event is its rename; to make it is no part of it
    began = time.monotonic()
    ready.rename(key_path(bus, key.key_id))
    return began, max(listener.first(_ready, began, PATIENCE) for listener in hears.values())


def pull(site: LiveSite, hears: Mapping[str, Listener], key: SimulatedKey) -> None:
    """Pull the key out, and wait until all nodes show it."""
    let_pass(REST)
    began = time.monotonic()
    site.unplug("a", key.key_id)
    for listener in hears.values():
        listener.first(lambda status: status["keyState"] == "Missing", began, PATIENCE)


def _ready(status: Status) -> bool:
    return status["keyState"] == "Ready" and status["license"]["status"] == "Valid"


async def write_twice(client: Bare, reports: Watch, statuses: Watch, report: bytes, status: bytes) -> float:
    """Write a report, be told of it, write a status, be told of that; return the seconds."""
    began = time.monotonic()
    first = asyncio.ensure_future(client.put("/floor/report", report))
    await reports.delivery()
    second = asyncio.ensure_future(client.put("/floor/status", status))
    await statuses.delivery()
    seconds = time.monotonic() - began
    await first
    await second
    return seconds


ROW = Row(
    "plug_to_published",
    "a key is plugged into the simulated bus → the new status is heard from both nodes",
    "two writes of the same size and two deliveries of watches by a bare client of the same etcd; "
    "`by_hand`: three bare processes that hand on the same bytes from the bus to the readers",
    "p50 ≤ 3 ×, p99 ≤ 5 ×",
    plug_to_published,
)
