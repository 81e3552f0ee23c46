"""Draining on a real site without a track file: by the console's socket, and with nobody there to take over."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from signal import SIGKILL, SIGTERM

import pytest

from tests.integration.site.vendor import refused
from tests.site import LEASE_TTL, TWINKEY, Answer, LiveSite, node_in
from tests.waiting import eventually_sync

RESERVE = 2 * LEASE_TTL + 6.0
"""Seconds after which a drained node certainly leads for want of another."""


@pytest.fixture
def drained_none(site: LiveSite) -> Iterator[LiveSite]:
    """Give the site at rest, and take all drains back at the end."""
    yield site
    site.start()
    for label in site.nodes:
        assert act(site, "a", label, "undrain").status == 200


def act(site: LiveSite, at: str, label: str, action: str, *, force: bool = False) -> Answer:
    """Let an operator act on a node, by a call to another or the same."""
    body = json.dumps({action: {"force": True} if force else {}}).encode()
    return site.call(at, "PUT", f"/v1/nodes/{site.nodes[label].uuid}/actions", body)


def test_on_its_console_a_node_is_drained_without_a_name(drained_none: LiveSite) -> None:
    """The command waits for the other coordinator and says that the address has not moved, as nothing moves it here."""
    site = drained_none
    leader, other = site.leader()
    site.wait_for_all(lambda status: status["vipState"] == "held")
    command = [TWINKEY, "node", "drain", "--within", "3", "--socket", f"{leader}/coordinator.sock"]
    done = subprocess.run(command, cwd=site.site.folder, capture_output=True, text=True, check=False, timeout=60)
    holds = node_in(site.status(leader), leader)["vip"]
    assert done.returncode == int(holds), done.stdout + done.stderr
    assert f"Node {leader} is drained.\nNode {other} leads.\n" in done.stdout
    assert ("It still holds the virtual IP: set track_file" in done.stdout) is holds
    assert site.leader() == (other, leader)


def test_a_drain_outlives_everything(drained_none: LiveSite) -> None:
    """Both nodes are stopped and started: the drained one does not lead."""
    site = drained_none
    leader, other = site.leader()
    assert act(site, other, leader, "drain").status == 200
    site.wait_for_all(lambda status: node_in(status, leader)["drained"])
    assert refused(act(site, other, other, "drain")) == (409, "nobody-takes-over")
    for daemon in site.daemons:
        daemon.end(SIGTERM)
    site.start()
    assert site.leader() == (other, leader)
    assert node_in(site.status(other), leader)["drained"]


def test_a_drained_node_leads_when_nobody_else_does(drained_none: LiveSite) -> None:
    """It goes on answering while nobody leads, leads after a while, and makes way for the other when that is back."""
    site = drained_none
    leader, other = site.leader()
    assert act(site, leader, leader, "drain").status == 200
    site.wait_for(leader, lambda status: not status["stale"] and status["leader"]["name"] == other)
    for daemon in (site.agents[other], site.coordinators[other]):
        daemon.end(SIGKILL)
    site.wait_for(leader, lambda status: status["stale"], within=5)
    assert site.get(leader, "/readyz").status == 200
    eventually_sync(lambda: site.leaders() == [leader], within=RESERVE)
    site.coordinators[other].start()
    eventually_sync(lambda: site.get(other, "/readyz").status == 200, within=10)
    site.agents[other].start()
    eventually_sync(lambda: site.leaders() == [other], within=10)
