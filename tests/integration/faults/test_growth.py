"""What an operator does to a whole site: a second node, new hardware, and a way out when the quorum is gone for good.

The steps are those of `docs/recovery.md`. No USB key is plugged in but where a test says so: the licence in force was
asked for with a request code, and answers while all this goes on are read from every node.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from cluster.report import Report
from cluster.values import decode_value
from coordinator.snapshot import FILE, from_bytes
from licensing.ledger import Ledger
from tests.netsite.asking import ETCD_PORT
from tests.netsite.by_hand import add_member, make_new_cluster, remove_member
from tests.netsite.licences import UPLOAD, licence_for, new_licence, request_code
from tests.netsite.netsite import ADDRESSES, AT_REST, WITNESS, NetSite, etcd_command, now
from tests.netsite.readers import Reading
from tests.site import KEYS, LEASE_OVER, TWINKEY, Status, node_in
from tests.waiting import eventually_sync


@pytest.fixture
def site(tmp_path: Path) -> Iterator[NetSite]:
    """Give a site of which nothing runs yet."""
    site = NetSite(tmp_path)
    try:
        yield site
    finally:
        site.close()


def whole(status: Status) -> bool:
    """Whether an answer is fresh and of a site that has everything."""
    nodes = status["nodes"]
    seen = all(node["reachable"] for node in nodes) and sum(node["vip"] for node in nodes) == 1
    return not status["stale"] and seen


def start_without_a_key(site: NetSite) -> None:
    """Start everything; return when both nodes show a whole site."""
    site.repair()
    for label in site.labels:
        site.wait_for(label, whole, AT_REST)


def upload(site: NetSite, label: str, file: bytes) -> tuple[int, str]:
    """Upload a licence to a node; return how it was answered, and the code of a refusal."""
    answer = site.call(label, "POST", UPLOAD, file)
    return answer.status, json.loads(answer.body).get("error", {}).get("code", "")


def licensed(site: NetSite, label: str) -> str:
    """Install a licence that answers the site's request code, and return its name when all nodes that run show it."""
    name, file = new_licence(site, label)
    assert upload(site, label, file) == (200, "")
    for each, node in site.nodes.items():
        if node.coordinator.running:
            site.wait_for(each, lambda status: is_valid(status, name), LEASE_OVER)
    return name


def is_valid(status: Status, name: str) -> bool:
    """Whether a licence is in force, and valid."""
    return (status["license"]["name"], status["license"]["status"]) == (name, "Valid")


def console(site: NetSite, label: str, *words: str) -> str:
    """Run a command on a node's console and return what it prints."""
    return site.hosts[label].run(TWINKEY, *words, "--socket", f"{label}/coordinator.sock", folder=site.site.folder)


def ledger(site: NetSite, label: str) -> Ledger:
    """Return the ledger as an etcd member has it."""
    return decode_value(KEYS.ledger, site.member(label).under(KEYS.ledger)[KEYS.ledger], Ledger)


def fingerprint(site: NetSite, label: str) -> str:
    """Return by what the machine of a node is known to the site."""
    key = KEYS.node(site.site.nodes[label].uuid)
    report = decode_value(key, site.member(site.other(label)).under(key)[key], Report)
    assert report.fingerprint
    return report.fingerprint.value


def told(site: NetSite, label: str, since: float) -> list[Reading]:
    """Return all good answers of a node from a moment until it answers freshly; none of them went back."""
    site.seen(label, now(), lambda reading: reading.fresh)
    readings = [each for each in site.read().since(since, label) if each.http == 200]
    for before, after in pairwise(readings):
        assert after.status["index"] >= before.status["index"], f"node {label} went back"
    return readings


def always_answered(site: NetSite, label: str, since: float) -> None:
    """Check that every question to a node since a moment had a good answer."""
    failed = [each for each in site.read().since(since, label) if each.http != 200]
    assert not failed, f"node {label}: {len(failed)} questions without an answer, first {failed[0]}"


def founded_alone(site: NetSite) -> None:
    """Found the site with node a alone, whose etcd has one member; return when it answers."""
    only = site.nodes["a"]
    only.etcd.command = etcd_command("a", site.site.folder, among="a")
    etcd = {"TWINKEY_ETCD_ENDPOINTS": f"{ADDRESSES['a']}:{ETCD_PORT}"}
    only.agent.environment = etcd
    only.coordinator.environment = etcd | {"TWINKEY_MEMBERS": site.site.nodes["a"].uuid}
    only.start()
    status = site.wait_for("a", whole, AT_REST)
    assert [node["name"] for node in status["nodes"]] == ["a"]


def join(site: NetSite) -> None:
    """Let node b join the site of node a, by the documentation's steps; one of them always answers."""
    first, second, began = site.nodes["a"], site.nodes["b"], now()
    console(site, "a", "site", "add-node", site.site.nodes["b"].uuid)
    for label in WITNESS, "b":
        add_member(site, label, at="a")
    second.start()
    site.wait_for("b", whole, AT_REST)
    assert all(each.fresh for each in site.read().since(began, "a")), "the site was interrupted"
    handed_over = now()
    for program in first.agent, first.coordinator:  # its settings name both nodes and all members from now on
        program.environment = {}
        program.stop()
        program.start()
    for label in site.labels:
        site.wait_for(label, whole, AT_REST)
    always_answered(site, "b", handed_over)


def test_a_second_node_joins_and_the_first_one_can_be_lost(site: NetSite) -> None:
    """A site of one node becomes one of two: its licence stays, keys count as those of two, and either may be lost."""
    founded_alone(site)
    assert len(request_code(site, "a").fingerprints) == 1
    name = licensed(site, "a")
    before, began = request_code(site, "a"), now()
    site.read()
    join(site)
    assert all(is_valid(dict(each.status), name) for label in site.labels for each in told(site, label, began))
    assert set(request_code(site, "b").fingerprints) == {fingerprint(site, label) for label in site.labels}
    assert len(set(request_code(site, "b").fingerprints)) == 2
    name, file = licence_for(site, before)
    assert upload(site, "b", file) == (200, "")

    site.plug("a", site.base)
    site.wait_for("b", lambda status: status["keyState"] == "Ready", LEASE_OVER)
    site.plug("b", site.new_key())
    status = site.wait_for("b", lambda status: status["keyState"] == "Abnormal", LEASE_OVER)
    assert status["license"]["keyId"] == site.base.key_id

    lost = now()
    site.nodes["a"].kill()
    site.wait_for("b", lambda status: not status["stale"] and not node_in(status, "a")["reachable"], AT_REST)
    late = site.new_key()
    site.plug("b", late)
    keys = site.wait_for("b", lambda status: late.key_id in str(node_in(status, "b")["ukeys"]), LEASE_OVER)
    assert node_in(keys, "a")["ukeys"][0]["keyId"] == site.base.key_id
    always_answered(site, "b", lost)
    assert {each.status["license"]["status"] for each in told(site, "b", lost)} == {"Valid"}


def test_a_node_with_new_hardware_needs_no_new_licence(site: NetSite) -> None:
    """The machine of a node is replaced: the licence stays valid, and what was asked for before can be installed."""
    start_without_a_key(site)
    name = licensed(site, "a")
    old, other = eventually_sync(site.leader), site.other(eventually_sync(site.leader))
    before, gone, began = request_code(site, other), fingerprint(site, old), now()
    assert gone in before.fingerprints
    assert gone != fingerprint(site, other)
    site.read()

    site.nodes[old].become_another_machine()
    site.wait_for(other, lambda status: not status["stale"] and not node_in(status, old)["reachable"], AT_REST)
    remove_member(site, old, at=other)
    add_member(site, old, at=other)
    site.nodes[old].start()
    for label in site.labels:
        site.wait_for(label, whole, AT_REST)

    always_answered(site, other, began)
    assert all(is_valid(dict(each.status), name) for label in site.labels for each in told(site, label, began))
    assert fingerprint(site, old) not in (gone, fingerprint(site, other))
    _, for_the_gone_alone = licence_for(site, replace(before, fingerprints=(gone,)))
    assert upload(site, old, for_the_gone_alone) == (422, "LICENSE.1002")
    name, file = licence_for(site, before)
    assert upload(site, old, file) == (200, "")
    console(site, old, "request-code", "--new")
    assert set(request_code(site, other).fingerprints) == {fingerprint(site, label) for label in site.labels}


def test_what_the_only_member_left_does_not_know_comes_from_the_coordinators(site: NetSite) -> None:
    """Two members are lost for good, the third was behind: an accepted upload comes back from the coordinators' disks.

    Both coordinators are killed too, so that nothing comes from what they had in mind.
    """
    start_without_a_key(site)
    licensed(site, "a")
    site.nodes["a"].etcd.kill()
    site.wait_for("a", lambda status: not status["stale"], AT_REST)
    name, file = new_licence(site, "a")
    began = now()
    site.read()
    assert upload(site, "a", file) == (200, "")
    for label in "b", WITNESS:
        site.members[label].etcd.kill()
        site.members[label].lose_disk("etcd")
    eventually_sync(lambda: all(name in on_disk(site, label) for label in site.labels))
    for label in site.labels:
        site.nodes[label].coordinator.kill()
        site.nodes[label].coordinator.start()

    make_new_cluster(site, "a")
    for label in "b", WITNESS:
        add_member(site, label, at="a")
    for label in site.labels:
        status = site.wait_for(label, whole, AT_REST)
        assert is_valid(status, name)
        assert "store-restored" in status["alerts"]
        names = [each.status["license"]["name"] for each in told(site, label, began)]
        assert set(names[names.index(name) :]) == {name}, "the upload was forgotten for a while"
    stored = ledger(site, "b")
    assert all(ledger(site, label) == stored for label in site.members), "the members differ"
    assert name in {signed.licence.name for signed in stored.installed}
    assert stored.restored[-1].end > stored.restored[-1].first
    verified = console(site, "b", "records", "verify")
    assert "are missing (the store was restored from an old copy" in verified
    site.nodes["a"].kill()
    site.wait_for("b", lambda status: not status["stale"] and not node_in(status, "a")["reachable"], AT_REST)
    licensed(site, "b")


def on_disk(site: NetSite, label: str) -> set[str]:
    """Return the names of the licences that a coordinator's disk knows of."""
    kept = site.hosts[label].run("cat", str(site.nodes[label].folder / "state" / FILE))
    return {signed.licence.name for signed in from_bytes(kept.encode()).ledger.installed}
