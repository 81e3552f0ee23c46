"""The duty towards the virtual IP: what reaches keepalived's file and the report, on a store in memory."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.sight import Facts, Sight
from agent.track_file import TrackFile
from agent.vip_duty import VipDuty
from cluster.drain import Drain
from cluster.election import Candidate
from cluster.keys import Keys
from cluster.memory import MemoryCluster
from cluster.report import Fingerprint, Report
from cluster.store import Delete, Put
from cluster.timings import Timings
from cluster.values import encode_value
from tests.newer import extended
from tests.waiting import eventually

KEYS = Keys("site-1")
ME, OTHER = "node-m", "node-a"
NOON = dt.datetime(2030, 1, 1, 12, tzinfo=dt.UTC)
QUICK = Timings(renew=0.05, probe=0.05, attempt=0.1, call_deadline=0.2)
MARK = encode_value(Drain("operator", NOON))


class Node:
    """One node's duty, what is stored, and the file that it writes."""

    def __init__(self, folder: Path) -> None:
        self.cluster = MemoryCluster()
        self.sight = Sight()
        self.sight.see_keys(())
        self.sight.see_vip(held=True)
        self.path = folder / "track"

    @asynccontextmanager
    async def on_duty(self, first_look: float = 5.0, look_again: float = 5.0) -> AsyncIterator[None]:
        """Let a new agent do its duty meanwhile."""
        file = TrackFile(self.path)
        duty = VipDuty(
            self.cluster.client(),
            KEYS,
            ME,
            self.sight,
            QUICK,
            track_file=file,
            first_look=first_look,
            look_again=look_again,
        )
        task = asyncio.create_task(duty.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    @property
    def facts(self) -> Facts:
        """What the node's report tells."""
        assert self.sight.facts is not None
        return self.sight.facts

    def reports(self, *, vip: bool = False, contested: bool = False) -> None:
        """Let the other node report."""
        report = Report(OTHER, "a", (), vip, Fingerprint("f", ("x",)), NOON, contested=contested)
        self.cluster.apply([Put(KEYS.node(OTHER), encode_value(report), self.cluster.new_lease(60).lease_id)])

    async def told(self, text: str) -> None:
        """Wait until keepalived is told this."""
        await eventually(lambda: self.path.exists() and self.path.read_text(encoding="ascii") == text)


@pytest.fixture
async def node(tmp_path: Path) -> Node:
    """Give a node that holds the address, beside one that is well."""
    found = Node(tmp_path)
    found.reports()
    return found


async def test_a_drain_is_told_and_taken_back(node: Node) -> None:
    """Keepalived hears of it at once, both times, and the report says that the node does not serve."""
    async with node.on_duty():
        await node.told("0\n")
        node.cluster.apply([Put(KEYS.drain(ME), MARK)])
        await node.told("1\n")
        assert not node.facts.serving
        node.cluster.apply([Delete(KEYS.drain(ME))])
        await node.told("0\n")
        assert node.facts.serving


async def test_what_is_no_mark_drains_nothing(node: Node) -> None:
    """Rubbish in the store moves no address; nor does the drain of another node."""
    node.cluster.apply([Put(KEYS.drain(ME), b"\xff"), Put(KEYS.drain(OTHER), MARK), Put(KEYS.node("x"), b"?")])
    async with node.on_duty():
        await node.told("0\n")


async def test_a_node_of_a_newer_version_is_understood(node: Node) -> None:
    """Its report counts when two hold the address, its name as the leader too, and a mark that it set drains."""
    leads = extended(encode_value(Candidate(OTHER, "a")))
    node.cluster.apply([Put(KEYS.leader, leads, node.cluster.new_lease(60).lease_id)])
    report = Report(OTHER, "a", (), True, Fingerprint("f", ("x",)), NOON, contested=True)  # noqa: FBT003
    lease = node.cluster.new_lease(60).lease_id
    node.cluster.apply([Put(KEYS.node(OTHER), extended(encode_value(report)), lease)])
    async with node.on_duty():
        await node.told("1\n")
        assert node.facts.contested
        node.reports()
        await node.told("0\n")
        node.cluster.apply([Put(KEYS.drain(ME), extended(MARK))])
        await node.told("1\n")


async def test_a_node_does_not_compete_with_itself(node: Node) -> None:
    """Its own report says that it holds the address, and that is no second holder."""
    own = Report(ME, "m", (), True, Fingerprint("f", ("x",)), NOON, contested=True)  # noqa: FBT003
    node.cluster.apply([Put(KEYS.node(ME), encode_value(own))])
    async with node.on_duty():
        await node.told("0\n")
        assert not node.facts.contested


async def test_a_drain_outlives_the_agent(node: Node) -> None:
    """An agent that is stopped on a drained node leaves the file as it is, and the next one says the same."""
    node.cluster.apply([Put(KEYS.drain(ME), MARK)])
    async with node.on_duty():
        await node.told("1\n")
    assert node.path.read_text(encoding="ascii") == "1\n"
    node.path.unlink()
    node.cluster.offline()
    async with node.on_duty():
        node.cluster.online()
        await eventually(node.path.exists)
        assert node.path.read_text(encoding="ascii") == "1\n"


async def test_two_holders_find_out_who_yields(node: Node) -> None:
    """The node says that it is contested at once, and yields when the other, which leads, has seen it too."""
    leads = encode_value(Candidate(OTHER, "a"))
    node.cluster.apply([Put(KEYS.leader, leads, node.cluster.new_lease(60).lease_id)])
    async with node.on_duty():
        await node.told("0\n")
        node.reports(vip=True)
        await eventually(lambda: node.facts.contested)
        assert node.path.read_text(encoding="ascii") == "0\n"
        node.reports(vip=True, contested=True)
        await node.told("1\n")
        node.sight.see_vip(held=False)
        node.reports(vip=True)
        await eventually(lambda: not node.facts.contested)
        assert node.path.read_text(encoding="ascii") == "1\n"
        node.reports()
        await node.told("0\n")


async def test_who_yields_may_hold_the_address_when_its_agent_stops(node: Node) -> None:
    """Without an agent nobody would take it back, and the coordinator goes on answering."""
    async with node.on_duty():
        node.reports(vip=True, contested=True)
        await node.told("1\n")
    assert node.path.read_text(encoding="ascii") == "0\n"


async def test_a_store_out_of_reach_takes_no_address_away(node: Node) -> None:
    """An agent that starts without a store lets keepalived have the address after a while."""
    node.cluster.offline()
    node.path.write_text("1\n", encoding="ascii")
    async with node.on_duty(first_look=0.05):
        await node.told("0\n")


async def test_a_file_that_cannot_be_written_is_tried_again(node: Node) -> None:
    """The agent goes on, and keepalived is told as soon as it can be."""
    node.path.mkdir()
    async with node.on_duty(look_again=0.02):
        node.cluster.apply([Put(KEYS.drain(ME), MARK)])
        await eventually(lambda: not node.facts.serving)
        node.path.rmdir()
        await node.told("1\n")


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "removed"])
async def test_what_keepalived_was_told_stays_told(node: Node, reset: bool) -> None:  # noqa: FBT001
    """A file that keepalived set back, or somebody removed, says the same again though nothing happened."""
    node.cluster.apply([Put(KEYS.drain(ME), MARK)])
    async with node.on_duty(look_again=0.02):
        await node.told("1\n")
        if reset:
            node.path.write_text("0\n", encoding="ascii")
        else:
            node.path.unlink()
        await node.told("1\n")
