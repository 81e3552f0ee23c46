"""A node of this version and one of the release before it, as one site: nobody notices but the operator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL, SIGTERM

import pytest

from tests.integration.mixed.asking import Asking
from tests.integration.mixed.older_release import VERSION, MixedSite, told_to_upgrade, version_in
from tests.integration.site.vendor import Vendor
from tests.site import KEYS, LEASE_OVER, Status, keys_in, node_in, removal_settled
from tests.waiting import eventually_sync

OLDER, NEWER = "b", "a"


@pytest.fixture(params=[OLDER, NEWER], ids=["older-leads", "newer-leads"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MixedSite]:
    """Run a site of which node b is older, and let one of them lead."""
    mixed = MixedSite(tmp_path, (OLDER,))
    try:
        mixed.start()
        leader, _ = mixed.leader()
        if leader != request.param:
            restart(mixed, leader)
        assert mixed.leader()[0] == request.param
        yield mixed
    finally:
        mixed.close()


def restart(site: MixedSite, label: str) -> None:
    """Let a node's coordinator stop, the other one lead, and the first one come back."""
    (other,) = (each for each in site.nodes if each != label)
    site.coordinators[label].end(SIGTERM)
    eventually_sync(lambda: site.leaders() == [other], LEASE_OVER)
    site.coordinators[label].start()
    site.wait_for(label, lambda status: not status["stale"], 20)


def serving(status: Status, key: str) -> bool:
    """Whether the licence of this USB key is in force, without a buffer."""
    licence = status["license"]
    return (licence["keyId"], licence["status"], status["buffer"]) == (key, "Valid", None) and not status["stale"]


def goes_on(status: Status, leader: str, index: int) -> bool:
    """Whether this node has published something newer than that index, and it is as it was."""
    leads = status["leader"] is not None and status["leader"]["name"] == leader
    return leads and status["index"] > index and serving(status, "kept")


def test_keys_count_wherever_they_are_plugged(site: MixedSite) -> None:
    """A key in either node licenses the site on both; pulled out it is missed, and back in it is as before."""
    with Asking(site):
        for label in site.nodes:
            key = site.new_key(f"in-{label}")
            site.plug(label, key)
            for status in site.wait_for_all(lambda status, key=key: serving(status, key.key_id)):  # type: ignore[misc]
                assert keys_in(status)[label] == {key.key_id: "ok"}
            site.unplug(label, key.key_id)
            site.wait_for_all(lambda status: status["keyState"] == "Missing" and removal_settled(status))
            site.plug(label, key)
            site.wait_for_all(lambda status, key=key: serving(status, key.key_id))  # type: ignore[misc]
            site.unplug(label, key.key_id)
            site.wait_for_all(lambda status: status["keyState"] == "Missing" and removal_settled(status))


def test_licences_are_installed_through_either_node(site: MixedSite) -> None:
    """Each is in force on both nodes at once, and the history of both is whole on both."""
    vendor = Vendor(site)
    with Asking(site):
        for label in site.nodes:
            name = vendor.install(vendor.file(), label)["licences"][0]
            site.wait_for_all(lambda status, name=name: status["license"]["name"] == name)  # type: ignore[misc]
        for label in site.nodes:
            verified = site.get(label, "/v1/licenses/records/verification")
            assert verified.status == 200, verified.body
            assert b'"intact":true' in verified.body, verified.body


def test_leadership_goes_back_and_forth(site: MixedSite) -> None:
    """Whoever is killed, the other one goes on from there: the licence stays, the index rises, nothing is stale."""
    site.plug("a", site.new_key("kept"))
    site.wait_for_all(lambda status: serving(status, "kept"))
    with Asking(site):
        for _ in range(4):
            leader, other = site.leader()
            index = site.status(other)["index"]
            site.coordinators[leader].end(SIGKILL)
            eventually_sync(lambda other=other, index=index: goes_on(site.status(other), other, index), LEASE_OVER)  # type: ignore[misc]
            site.coordinators[leader].start()
            site.wait_for(leader, lambda status: serving(status, "kept"), 20)


def test_usage_and_drain_marks_are_understood_by_both(site: MixedSite) -> None:
    """What one node takes in the other one shows."""
    with Asking(site):
        for number, label in enumerate(site.nodes, 1):
            assert site.call(label, "PUT", "/v1/licenses/usage", b'{"vms":%d}' % number).status == 200
            site.wait_for_all(lambda status, number=number: (status["usage"] or {}).get("vms") == number)  # type: ignore[misc]
            path = f"/v1/nodes/{site.nodes[label].uuid}/actions"
            assert site.call(label, "PUT", path, b'{"drain":{}}').status == 200
            site.wait_for_all(lambda status, label=label: node_in(status, label)["drained"])  # type: ignore[misc]
            eventually_sync(lambda label=label: site.leaders() == [each for each in site.nodes if each != label])  # type: ignore[misc]
            assert site.call(label, "PUT", path, b'{"undrain":{}}').status == 200
            site.wait_for_all(lambda status, label=label: not node_in(status, label)["drained"])  # type: ignore[misc]


def test_the_newer_node_says_which_one_to_upgrade(site: MixedSite) -> None:
    """It tells it by name as long as the two differ, and only beside the answer: nothing of it is stored."""
    status = site.wait_for(NEWER, told_to_upgrade)
    assert version_in(status, NEWER) != VERSION
    assert any(f"Node {OLDER} runs " in reason for reason in status["reasons"])
    assert b"upgrade-needed" not in site.read(KEYS.status).value


def test_one_node_after_the_other_is_upgraded(tmp_path: Path) -> None:
    """Drained, exchanged and taken back, each in turn: the licence is valid throughout, and then all is quiet."""
    site = MixedSite(tmp_path, ("a", "b"))
    try:
        site.start()
        site.plug("a", site.new_key("kept"))
        site.wait_for_all(lambda status: serving(status, "kept"))
        with Asking(site):
            for label in ("b", "a"):
                exchange(site, label)
        for status in site.wait_for_all(lambda status: "upgrade-needed" not in status["alerts"]):
            assert version_in(status, "a") == version_in(status, "b") != ""
            assert serving(status, "kept")
    finally:
        site.close()


def exchange(site: MixedSite, label: str) -> None:
    """Upgrade a node as an operator does, and wait until it is back."""
    (other,) = (each for each in site.nodes if each != label)
    path = f"/v1/nodes/{site.nodes[label].uuid}/actions"
    assert site.call(label, "PUT", path, b'{"drain":{}}').status == 200
    eventually_sync(lambda: site.leaders() == [other], LEASE_OVER)
    for daemon in (site.coordinators[label], site.agents[label]):
        daemon.end(SIGTERM)
    site.install(label, older=False)
    for daemon in (site.agents[label], site.coordinators[label]):
        daemon.start()
    site.wait_for(label, lambda status: node_in(status, label)["reachable"] and not status["stale"], 20)
    assert site.call(label, "PUT", path, b'{"undrain":{}}').status == 200
    site.wait_for_all(lambda status: not node_in(status, label)["drained"])
