"""Orders on a demo: what is changed, what counts as seen, and what is refused. The store is in memory."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import pytest

from cluster.keys import Keys
from cluster.memory import MemoryCluster
from cluster.report import Fingerprint, Report, ReportedKey
from cluster.store import Delete, Put
from cluster.values import encode_value
from console.demo_actions import Actions
from console.demo_keys import VendorDesk
from console.demo_orders import Cannot, Done, Order, Verb
from console.demo_reports import Reports
from console.demo_site import SITE_ID, Node, Site, lay_out
from licensing.seen import Reading
from tests.waiting import eventually
from usbwatch.simulated import plugged

NOW = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)


class StandInNodes:
    """Nodes without processes: running or stopped as the test says."""

    def __init__(self) -> None:
        self.stopped: set[str] = set()

    def agent_alive(self, node: Node) -> bool:
        """Running unless stopped."""
        return node.label not in self.stopped

    any_alive = all_alive = agent_alive

    async def start(self, nodes: Sequence[Node], within: float) -> None:
        """Run again."""
        del within
        self.stopped -= {node.label for node in nodes}

    async def stop(self, node: Node, *, kill: bool) -> None:
        """Stop."""
        del kill
        self.stopped.add(node.label)


class Demo:
    """A laid-out site whose agents are the test itself."""

    def __init__(self, folder: Path) -> None:
        self.site: Site = lay_out(folder, {"a": 1, "b": 2}, "127.0.0.1:3", NOW)
        self.nodes = StandInNodes()
        self.store = MemoryCluster().client()
        self.keys = Keys(SITE_ID)
        desk = VendorDesk(self.site.vendor, lambda: NOW)
        reports = Reports(self.store, self.keys)
        self.actions = Actions(self.site, desk, self.nodes, reports, within=2.0)  # type: ignore[arg-type]

    async def report(self, label: str, *keys: tuple[str, Reading], vip: bool = False) -> None:
        """Publish what the agent of this node sees."""
        node = self.site.nodes[label]
        seen = tuple(
            ReportedKey(name, reading, read_by=NOW if reading is Reading.PENDING else None) for name, reading in keys
        )
        report = Report(node.uuid, label, seen, vip, Fingerprint("f", ()), NOW)
        await self.store.commit([], [Put(self.keys.node(node.uuid), encode_value(report))])

    def order(self, verb: Verb, node: str = "", key: str = "") -> asyncio.Task[Done]:
        """Give an order in the background."""
        return asyncio.create_task(self.actions.carry_out(Order(verb, node, key)))

    def in_node(self, label: str) -> list[str]:
        """Return the ids of the keys that are plugged in."""
        return [key.key_id for key in plugged(self.site.nodes[label].bus)]


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    """Return a fresh site."""
    return Demo(tmp_path)


async def test_plug_returns_when_the_key_was_read(demo: Demo) -> None:
    """A key that is still being read does not count as seen; the reading does."""
    await demo.report("a")
    order = demo.order(Verb.PLUG, "a", "K1")
    await eventually(lambda: demo.in_node("a") == ["K1"])
    await demo.report("a", ("K1", Reading.PENDING))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not order.done()
    await demo.report("a", ("K1", Reading.OK))
    done = await order
    assert (done.seen, done.text) == (True, "K1 is plugged into node a.")


async def test_what_no_agent_sees_is_an_error_in_time(demo: Demo) -> None:
    """An agent that stays silent is reported with where its log is, and the change is not denied."""
    await demo.report("a")
    with pytest.raises(Cannot, match=r"K1 is plugged into node a, but .* not within 2 s.*logs in"):
        await demo.order(Verb.PLUG, "a", "K1")


async def test_without_a_store_the_error_says_so(demo: Demo) -> None:
    """A store that is away ends the waiting."""
    demo.store.offline()
    with pytest.raises(Cannot, match="switched off"):
        await demo.order(Verb.PLUG, "a", "K1")


async def test_unplug_returns_when_the_key_is_gone(demo: Demo) -> None:
    """The report without the key is what counts."""
    await demo.report("a", ("K1", Reading.OK))
    await demo.order(Verb.PLUG, "a", "K1")
    order = demo.order(Verb.UNPLUG, "a", "K1")
    await eventually(lambda: demo.in_node("a") == [])
    assert not order.done()
    await demo.report("a")
    await order


async def test_plug_and_unplug_refuse_what_is_so_already(demo: Demo) -> None:
    """A key cannot be plugged in twice into one node, nor pulled where it is not; both nodes at once is a clone."""
    await demo.report("a", ("K1", Reading.OK))
    await demo.report("b", ("K1", Reading.OK))
    await demo.order(Verb.PLUG, "a", "K1")
    with pytest.raises(Cannot, match="already"):
        await demo.order(Verb.PLUG, "a", "K1")
    with pytest.raises(Cannot, match="not plugged"):
        await demo.order(Verb.UNPLUG, "b", "K1")
    await demo.order(Verb.PLUG, "b", "K1")
    assert demo.in_node("a") == demo.in_node("b") == ["K1"]


async def test_break_and_repair_follow_the_key_wherever_it_is(demo: Demo) -> None:
    """A broken key is broken in both nodes, and both agents must have seen it."""
    for label in "ab":
        await demo.report(label, ("K1", Reading.OK))
        await demo.order(Verb.PLUG, label, "K1")
    order = demo.order(Verb.BREAK, key="K1")
    await demo.report("a", ("K1", Reading.FAULTY))
    assert not order.done()
    await demo.report("b", ("K1", Reading.FAULTY))
    await order
    with pytest.raises(Cannot, match="broken already"):
        await demo.order(Verb.BREAK, key="K1")
    for label in "ab":
        await demo.report(label, ("K1", Reading.OK))
    await demo.order(Verb.REPAIR, key="K1")
    with pytest.raises(Cannot, match="not broken"):
        await demo.order(Verb.REPAIR, key="K1")


async def test_a_key_can_be_broken_before_it_is_plugged_in(demo: Demo) -> None:
    """It stays broken when it is plugged in, and the answer says so."""
    await demo.report("a", ("K1", Reading.FAULTY))
    done = await demo.order(Verb.BREAK, key="K1")
    assert (done.seen, "nowhere" in done.text) == (False, True)
    assert "broken" in (await demo.order(Verb.PLUG, "a", "K1")).text


async def test_on_a_stopped_node_the_change_is_made_and_seen_later(demo: Demo) -> None:
    """Nobody sees it now; the answer says when it will be."""
    demo.nodes.stopped = {"b"}
    done = await demo.order(Verb.PLUG, "b", "K1")
    assert demo.in_node("b") == ["K1"]
    assert not done.seen
    assert "will be seen there when the node starts" in done.text


async def test_move_vip_never_makes_two_holders(demo: Demo) -> None:
    """The new holder gets it when the old one has seen it go, and the order ends when the new one has it."""
    await demo.report("a", vip=True)
    await demo.report("b")
    order = demo.order(Verb.MOVE_VIP, "b")
    await eventually(lambda: not demo.site.nodes["a"].vip.exists())
    assert not demo.site.nodes["b"].vip.exists()
    await demo.report("a")
    await eventually(demo.site.nodes["b"].vip.exists)
    assert not order.done()
    await demo.report("b", vip=True)
    await order
    with pytest.raises(Cannot, match="already"):
        await demo.order(Verb.MOVE_VIP, "b")


async def test_move_vip_leaves_a_stopped_holder_alone(demo: Demo) -> None:
    """A node that does not run cannot see the virtual IP go; the other one gets it at once."""
    demo.nodes.stopped = {"a"}
    await demo.report("b", vip=True)
    assert (await demo.order(Verb.MOVE_VIP, "b")).seen


async def test_stop_node_returns_when_its_report_is_gone(demo: Demo) -> None:
    """Only the end of the lease makes a node unseen; it can be stopped once and started once."""
    await demo.report("a")
    order = demo.order(Verb.STOP_NODE, "a")
    await eventually(lambda: demo.nodes.stopped == {"a"})
    assert not order.done()
    await demo.store.commit([], [Delete(demo.keys.node(demo.site.nodes["a"].uuid))])
    assert "keeps the virtual IP" in (await order).text
    with pytest.raises(Cannot, match="stopped already"):
        await demo.order(Verb.STOP_NODE, "a")
    await demo.order(Verb.START_NODE, "a")
    with pytest.raises(Cannot, match="running already"):
        await demo.order(Verb.START_NODE, "a")


async def test_an_unknown_node_is_named(demo: Demo) -> None:
    """A node that this demo does not have is refused with those that it has."""
    with pytest.raises(Cannot, match="no node 'c'; its nodes: a, b"):
        await demo.order(Verb.PLUG, "c", "K1")
