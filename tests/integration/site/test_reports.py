"""From reports to one state: in whatever order they come, and whatever becomes of the agents that write them."""

from __future__ import annotations

import itertools
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM, Signals
from typing import Any

import pytest

from cluster.store import Delete
from tests.site import KEYS, LEASE_OVER, SETTLE, LiveSite, Status, broken, keys_in, let_pass, node_in

LONG = 3 * SETTLE
"""Seconds after which a removal would have had its consequences."""
PLACES = {"a": ("r1", "r2"), "b": ("r3",)}


def what_it_says(status: Status) -> dict[str, Any]:
    """Return a status without when and how often it was published, and when the nodes last wrote."""
    told = {name: value for name, value in status.items() if name not in {"index", "asOf", "epoch"}}
    return told | {"nodes": [node | {"reportedAt": None} for node in status["nodes"]]}


def use_key_on(site: LiveSite, label: str, name: str) -> Status:
    """Plug a new key in and return what all show when it is in use."""
    site.plug(label, site.new_key(name))
    return site.wait_for_all(lambda status: (status["keyState"], status["license"]["keyId"]) == ("Ready", name))[0]


def gone(site: LiveSite, label: str) -> list[Status]:
    """Return what all show once a node's report is gone."""
    return site.wait_for_all(lambda status: not node_in(status, label)["reachable"], LEASE_OVER)


def test_the_order_of_reports_does_not_matter(site: LiveSite) -> None:
    """The same keys in the same places give the same answer, in whatever order they were plugged in."""
    keys = {name: site.new_key(name) for names in PLACES.values() for name in names}
    use_key_on(site, "b", "first")  # the key in use does depend on the past, so it is the same each time
    answers: list[dict[str, Any]] = []
    for order in itertools.permutations((label, name) for label, names in PLACES.items() for name in names):
        for label, name in order:
            site.plug(label, keys[name])
        expected = {"a": {"r1": "ok", "r2": "ok"}, "b": {"first": "ok", "r3": "ok"}}
        statuses = site.wait_for_all(lambda status: status["buffer"] and keys_in(status) == expected)  # noqa: B023
        answers += map(what_it_says, statuses)
        for label, name in order:
            site.unplug(label, name)
        site.wait_for_all(lambda status: status["keyState"] == "Ready" and status["buffer"] is None)
    assert answers[0]["keyState"] == "Fault"
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize("how", [SIGTERM, SIGKILL], ids=["stopped", "killed"])
def test_an_agent_that_is_restarted_changes_nothing(site: LiveSite, how: Signals) -> None:
    """However each agent ended, after a restart the answer is the same, and no buffer ever ran."""
    before = use_key_on(site, "a", f"restart-{how.name}")
    for label, agent in site.agents.items():
        written = node_in(site.status("a"), label)["reportedAt"]
        agent.end(how)
        agent.start()
        site.wait_for_all(lambda status: node_in(status, label)["reportedAt"] != written, 10)  # noqa: B023
    for status in site.wait_for_all(lambda status: all(node["reachable"] for node in status["nodes"])):
        assert what_it_says(status) == what_it_says(before)


def test_silent_nodes_keep_their_keys(site: LiveSite) -> None:
    """Nodes whose agent is frozen or was killed are not reachable and without the virtual IP; keys and licence stay."""
    use_key_on(site, "a", "in-frozen")
    site.plug("b", site.new_key("in-killed"))
    before = site.wait_for("a", lambda status: status["keyState"] == "Abnormal")
    site.agents["a"].send(SIGSTOP)
    site.agents["b"].end(SIGKILL)
    silent = [status for label in site.nodes for status in gone(site, label)][-1]
    assert [(node["visibility"], node["vip"]) for node in silent["nodes"]] == [("stale", False)] * 2
    assert all(node["problem"] for node in silent["nodes"])
    let_pass(LONG)
    for status in map(site.status, site.nodes):
        assert keys_in(status) == keys_in(before)
        assert (status["keyState"], status["license"], status["buffer"]) == ("Abnormal", before["license"], None)
        assert not status["stale"]
    site.agents["a"].send(SIGCONT)
    site.agents["b"].start()
    for status in site.wait_for_all(lambda status: all(node["reachable"] for node in status["nodes"]), 10):
        assert what_it_says(status) == what_it_says(before)


def test_a_site_of_silent_nodes_keeps_its_licence(site: LiveSite) -> None:
    """With both agents gone everything is held; what happened meanwhile counts when they are back."""
    use_key_on(site, "b", "all-gone")
    for agent in site.agents.values():
        agent.end(SIGTERM)
    for label in site.nodes:
        gone(site, label)
    site.unplug("b", "all-gone")
    let_pass(LONG)
    for label in site.nodes:
        status = site.status(label)
        assert (status["keyState"], status["license"]["status"], status["buffer"]) == ("Ready", "Valid", None)
    for agent in site.agents.values():
        agent.start()
    for status in site.wait_for_all(lambda status: status["keyState"] == "Missing" and status["buffer"], 10):
        assert status["license"]["status"] == "Valid"


def test_a_key_that_moves_off_a_silent_node_is_in_one_place(site: LiveSite) -> None:
    """A key seen live on one node is taken out of the other's held report: Ready, and no clone is suspected."""
    key = site.new_key("moves")
    site.plug("b", key)
    site.wait_for_all(lambda status: status["license"]["keyId"] == "moves")
    site.agents["b"].end(SIGTERM)
    gone(site, "b")
    site.plug("a", key)
    for status in site.wait_for_all(lambda status: "moves" in keys_in(status)["a"]):
        assert keys_in(status) == {"a": {"moves": "ok"}, "b": {}}
        assert (status["keyState"], status["license"]["status"], status["buffer"]) == ("Ready", "Valid", None)
        assert "clone-suspected" not in status["alerts"]
    site.unplug("b", "moves")


def test_a_member_that_never_reported_is_unknown(site: LiveSite) -> None:
    """Of a member without any report nothing is known: it is said so, and it starts no buffer."""
    use_key_on(site, "a", "alone")
    site.agents["b"].end(SIGTERM)
    gone(site, "b")
    uuid = site.nodes["b"].uuid
    site.in_store(lambda store: store.commit((), (Delete(KEYS.last_seen(uuid)), Delete(KEYS.node(uuid)))))
    for status in site.wait_for_all(lambda status: status["nodes"][1]["visibility"] == "unknown"):
        assert status["nodes"][1]["problem"]
        assert (status["keyState"], status["license"]["status"], status["buffer"]) == ("Ready", "Valid", None)
    site.unplug("a", "alone")  # pulled for certain, but perhaps plugged into b
    site.wait_for_all(lambda status: keys_in(status)["a"] == {})
    let_pass(LONG)
    assert site.status("b")["buffer"] is None
    site.agents["b"].start()
    site.wait_for_all(lambda status: status["keyState"] == "Missing" and status["buffer"], 10)


def test_a_key_breaks_and_is_mended(site: LiveSite) -> None:
    """The key in use breaking is a Fault with a buffer; mended, it is in use again and the buffer is gone."""
    key = site.new_key("breaks")
    use_key_on(site, "a", "breaks")
    site.plug("a", broken(key))
    for status in site.wait_for_all(lambda status: status["keyState"] == "Fault" and status["buffer"]):
        assert "key-fault" in status["alerts"]
        assert status["license"]["status"] == "Valid"
    site.plug("a", key)
    site.wait_for_all(lambda status: status["keyState"] == "Ready" and status["buffer"] is None)


def test_the_virtual_ip_moves(site: LiveSite) -> None:
    """The holder of the virtual IP is shown as it moves, also while both or none hold it."""
    files = {label: node.vip for label, node in site.nodes.items()}
    for holders in ({"b"}, {"a", "b"}, set[str](), {"a"}):
        for label, file in files.items():
            if label in holders:
                file.touch()
            else:
                file.unlink(missing_ok=True)
        site.wait_for_all(lambda status: {node["name"] for node in status["nodes"] if node["vip"]} == holders)  # noqa: B023
