"""The virtual IP with real keepalived on real networks, configured as the documentation says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cluster.keys import last_part
from tests.netsite.netsite import ADDRESSES, CLIENT, PORT, VIRTUAL_IP, NetSite
from tests.netsite.program import Program
from tests.site import LEASE_TTL, TWINKEY, let_pass, started
from tests.waiting import eventually_sync

DOCS = Path(__file__).parents[3] / "docs"
SAMPLE = DOCS / "keepalived" / "keepalived.conf"
STATE = "/var/lib/twinkey"
TRACK = f"{STATE}/keepalived/track"
PROBED = 3 * 2.0
"""Seconds in which a coordinator that hangs has missed three questions."""
SPLIT = 6.0
"""Seconds in which keepalived on both sides of a cut has the address, with an `advert_int` of 1."""


class VipSite(NetSite):
    """A site with the keepalived of the documentation and a track file on each node."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        for label, node in self.nodes.items():
            track = self.track(label)
            peer = ADDRESSES[self.other(label)]
            words = {
                "192.0.2.10": VIRTUAL_IP,
                "unicast_src_ip 192.0.2.1": f"unicast_src_ip {ADDRESSES[label]}",
                "    192.0.2.2\n": f"    {peer}\n",
                TRACK: track,
            }
            text = SAMPLE.read_text(encoding="utf-8")
            for old, new in words.items():
                assert old in text
                text = text.replace(old, new)
            (node.folder / "keepalived.conf").write_text(text, encoding="utf-8")
            self.make_folder(label)
            node.agent.lasting = dict(node.agent.lasting) | {
                "TWINKEY_TRACK_FILE": track,
                "TWINKEY_COORDINATOR": f"http://127.0.0.1:{PORT}",
            }

    def make_folder(self, label: str) -> None:
        """Make the folder of a node's track file anew, by the command of the documentation."""
        (command,) = re.findall(
            r"^ +(install -d .*)", (DOCS / "virtual-ip.md").read_text(encoding="utf-8"), re.MULTILINE
        )
        self.hosts[label].run("rm", "-rf", str(Path(self.track(label)).parent))
        self.hosts[label].run(*command.replace(STATE, self._state(label)).split())

    def have(self) -> list[str]:
        """Return the nodes that have the address, as their kernels say."""
        return [label for label in self.labels if VIRTUAL_IP in self.hosts[label].run("ip", "addr", "show", "eth0")]

    @contextmanager
    def has_taken(self, label: str) -> Iterator[Callable[[], bool]]:
        """Watch a node's addresses, and give what says whether it has taken the virtual one since, however briefly."""
        host, folder = self.hosts[label], self.nodes[label].folder
        watch = Program(host, ("ip", "-o", "monitor", "address", "dev", "eth0"), folder, folder / "taken.log")
        probe = ("ip", "address", "replace", "192.0.2.1/32", "dev", "eth0")
        before = watch.log if (folder / "taken.log").exists() else ""
        watch.start()
        try:
            # It listens as soon as it tells of an address that is replaced.
            eventually_sync(lambda: (host.run(*probe), "192.0.2.1/32" in watch.log[len(before) :])[1])
            yield lambda: f"{VIRTUAL_IP}/" in watch.log[len(before) :]
        finally:
            watch.kill()
            host.run("ip", "address", "delete", "192.0.2.1/32", "dev", "eth0")

    def told_keepalived(self, label: str) -> str:
        """Return what a node's agent has told its keepalived."""
        return self.hosts[label].run("cat", self.track(label))

    def track(self, label: str) -> str:
        """Return where a node's track file is."""
        return TRACK.replace(STATE, self._state(label))

    def _state(self, label: str) -> str:
        return f"{self.nodes[label].folder}/state"

    def moved_to(self, label: str, within: float) -> None:
        """Wait until this node alone has the address."""
        eventually_sync(lambda: self.have() == [label], within, f"node {label} has the virtual IP; {self.have()} have")

    def drain(self, label: str, *options: str) -> str:
        """Drain a node as an operator does from the client's machine, and return what the command says."""
        place = ("--url", f"http://{ADDRESSES[label]}:{PORT}", "--token-file", str(self.site.folder / "token"))
        return self.hosts[CLIENT].run(TWINKEY, "node", "drain", label, *options, *place)

    def drain_all(self) -> None:
        """Drain both nodes, which has to be forced."""
        for label in self.labels:
            answer = self.call(label, "PUT", "/v1/nodes/self/actions", b'{"drain": {"force": true}}')
            assert answer.status == 200, answer.body

    def silence_all(self) -> None:
        """Kill both coordinators."""
        for node in self.nodes.values():
            node.coordinator.kill()

    def shown(self, label: str) -> dict[str, Any]:
        """Return a node's status."""
        status: dict[str, Any] = json.loads(self.call(label, "GET", "/v1/status").body)
        return status


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VipSite]:
    """Run a site."""
    with started(VipSite(tmp_path_factory.mktemp("vip"))) as site:
        yield site


@pytest.fixture
def site(running: VipSite) -> VipSite:
    """Give the site at rest: everything runs, nobody is drained or yields, and one node has the address."""
    running.start()
    for label, node in running.nodes.items():
        running.drain(label, "--undo")
        node.agent.stop()  # one that starts knows of no conflict before
        node.agent.start()
    eventually_sync(lambda: {running.told_keepalived(label) for label in running.labels} == {"0\n"}, 10)
    running.start()
    return running


def test_a_drain_moves_the_address_and_leadership(site: VipSite) -> None:
    """The command returns when both are at the other node; the drained one still answers, through restarts too."""
    (holder,) = site.have()
    other = site.other(holder)
    said = site.drain(holder)
    assert f"Node {other} leads." in said
    assert f"The virtual IP is on node {other}." in said
    assert site.have() == [other]
    for program in (site.nodes[holder].agent, site.nodes[holder].coordinator, site.nodes[holder].keepalived):
        program.kill()
    site.nodes[holder].start()
    eventually_sync(lambda: not site.shown(holder)["stale"], 10)
    let_pass(SPLIT)
    assert site.have() == [other]
    assert site.leader() == other
    assert [node["drained"] for node in site.shown(holder)["nodes"] if node["name"] == holder] == [True]
    assert site.call(holder, "GET", "/readyz").status == 200


def test_the_other_node_takes_the_address_within_a_second(site: VipSite) -> None:
    """From the moment at which the agent gives it up: keepalived drops it at once, and its farewell is heard."""
    (holder,) = site.have()
    track = site.track(holder)
    site.nodes[holder].agent.kill()  # the next one writes the file anew
    site.hosts[holder].run("sh", "-c", f"echo 1 > {track}.new && mv {track}.new {track}")
    site.moved_to(site.other(holder), within=1.0)


def test_keepalived_may_start_before_the_agent_ever_ran(site: VipSite) -> None:
    """As at the first boot: with the folder of the documentation it goes by the file all the same."""
    (label,) = site.have()
    node, other = site.nodes[label], site.other(label)
    node.agent.stop()
    node.keepalived.stop()
    site.make_folder(label)
    node.keepalived.start()
    site.nodes[other].keepalived.stop()
    site.moved_to(label, within=SPLIT)
    site.nodes[other].keepalived.start()
    node.agent.start()
    eventually_sync(lambda: site.holders(site.shown(other)) == [label], 10)
    site.drain(label)
    site.moved_to(other, within=SPLIT)


def test_what_the_file_said_before_a_boot_keeps_no_node_from_the_address(site: VipSite) -> None:
    """Even if its agent does not come up at all and the other node is lost."""
    (holder,) = site.have()
    other = site.other(holder)
    node = site.nodes[other]
    node.agent.kill()
    node.keepalived.kill()
    site.hosts[other].run("sh", "-c", f"echo 1 > {site.track(other)}")
    node.keepalived.start()
    site.nodes[holder].kill()
    site.hosts[holder].run("ip", "addr", "flush", "to", VIRTUAL_IP, "dev", "eth0", check=False)
    site.moved_to(other, within=SPLIT)


def test_a_drain_outlives_a_restart_of_keepalived(site: VipSite) -> None:
    """It begins with 0, and the agent tells it again before it could take the address."""
    (holder,) = site.have()
    site.drain(holder)
    assert site.told_keepalived(holder) == "1\n"
    written = site.hosts[holder].run("stat", "-c", "%i", site.track(holder))
    site.nodes[holder].keepalived.stop()
    site.nodes[holder].keepalived.start()
    eventually_sync(lambda: site.hosts[holder].run("stat", "-c", "%i", site.track(holder)) != written, 3.0)
    eventually_sync(lambda: site.told_keepalived(holder) == "1\n", 3.0)
    assert site.have() == [site.other(holder)]


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_a_coordinator_that_does_not_answer_costs_the_address(site: VipSite, how: str) -> None:
    """The node that has one takes it, and keeps it when the coordinator is back."""
    (holder,) = site.have()
    getattr(site.nodes[holder].coordinator, how)()
    site.moved_to(site.other(holder), within=PROBED + 2)
    site.nodes[holder].start()
    let_pass(SPLIT)
    assert site.have() == [site.other(holder)]


def test_of_two_holders_one_yields_and_stays_so(site: VipSite) -> None:
    """When the two nodes cannot hear each other the leader keeps the address, also after the network is whole again."""
    (before,) = site.have()
    with site.has_taken(site.other(before)) as taken:
        site.network.cut("a", "b")
        eventually_sync(taken, SPLIT, "the other node takes the address too")
    eventually_sync(lambda: len(site.have()) == 1, 2.0, "one of two holders yields")
    held = site.have()
    assert held == [site.leader()], f"{before} held it before"
    eventually_sync(lambda: site.shown(held[0])["vipState"] == "held")
    let_pass(SPLIT)
    assert site.have() == held
    site.network.heal()
    let_pass(SPLIT)
    assert site.have() == held
    told = [each for each in site.shown(held[0])["nodes"] if each["vip"]]
    assert [last_part(each["name"]) for each in told] == held


@pytest.mark.parametrize("how", ["drain_all", "silence_all"], ids=["drained", "silent"])
def test_of_two_holders_one_yields_where_neither_can_serve(site: VipSite, how: str) -> None:
    """There is no better node than these, and two that hold the address are worse than one."""
    getattr(site, how)()
    let_pass(PROBED + 1)
    (before,) = site.have()
    with site.has_taken(site.other(before)) as taken:
        site.network.cut("a", "b")
        eventually_sync(taken, SPLIT, "the other node takes the address too")
    eventually_sync(lambda: len(site.have()) == 1, 3.0, "one of two holders yields")
    held = site.have()
    let_pass(SPLIT)
    assert site.have() == held
    site.network.heal()
    let_pass(SPLIT)
    assert site.have() == held


def test_a_holder_that_loses_its_power_is_not_waited_for(site: VipSite) -> None:
    """Its last report says for a while that it holds the address; the other one takes it and does not yield to it."""
    (holder,) = site.have()
    other = site.other(holder)
    site.nodes[holder].kill()
    site.hosts[holder].run("ip", "addr", "flush", "to", VIRTUAL_IP, "dev", "eth0", check=False)
    site.moved_to(other, within=SPLIT)
    let_pass(LEASE_TTL + 2.0)
    assert site.have() == [other]


def test_without_etcd_the_address_stays(site: VipSite) -> None:
    """Both nodes have lost it, and neither gives up the address at which the last answers are read."""
    (holder,) = site.have()
    for member in site.members.values():
        member.etcd.kill()
    let_pass(PROBED + LEASE_TTL)
    assert site.have() == [holder]
    assert site.shown(holder)["stale"]
