"""Bad values in etcd: what cannot be used is named, makes nobody unlicensed, and is forgotten once it is put right."""

from __future__ import annotations

import json
import re
from signal import SIGTERM

import pytest

from cluster.keys import Keys
from cluster.store import Delete, Put
from tests.site import KEYS, SETTLE, LiveSite, Status, keys_in, let_pass, removal_settled

LONG = 3 * SETTLE
"""Seconds after which a removal would have had its consequences."""
NEWER = b'{"data":{},"version":2}'
"""Of a later version than this one."""
HOSTILE = (
    b"",
    b"\xff\xfe\x00\x80",
    b'{"data":{"keys":[',
    b"null",
    b"<!doctype html><title>502</title>",
    b'{"data":' + b"[" * 5000 + b"]" * 5000 + b',"version":1}',
    b'{"data":"' + b"a" * (1024 * 1024) + b'","version":1}',
    NEWER,
    b'{"data":{},"version":"1"}',
    b'{"data":{"surprise":1},"version":1}',
    b'{"data":{},"data":{},"version":1}',
    b'{"data":"\\ud800","version":1}',
)


def licensed(status: Status, key: str) -> bool:
    """Whether the licence of this key is valid, with no buffer."""
    licence = status["license"]
    return (licence["keyId"], licence["status"], status["buffer"]) == (key, "Valid", None)


def names(status: Status, key: str) -> bool:
    """Whether a status explains itself with a sentence that names this key of etcd."""
    return any(key in reason for reason in status["reasons"])


def node(site: LiveSite, status: Status, label: str) -> dict[str, object]:
    """Return what a status says about a node; its name is lost with its report."""
    uuid = site.nodes[label].uuid
    found: dict[str, object] = next(each for each in status["nodes"] if each["managementNodeUuid"] == uuid)
    return found


def unknown(site: LiveSite, status: Status, label: str) -> bool:
    """Whether a status says that nothing can be known of a node."""
    told = node(site, status, label)
    return (told["reachable"], told["visibility"], told["vip"]) == (False, "unknown", False)


def use_key_on(site: LiveSite, label: str, name: str) -> None:
    """Plug a new key in and wait until all serve its licence."""
    site.plug(label, site.new_key(name))
    site.wait_for_all(lambda status: status["keyState"] == "Ready" and licensed(status, name))


def test_a_report_that_cannot_be_used_makes_its_node_unknown(site: LiveSite) -> None:
    """The node with the key in use becomes unknown, is named with its etcd key, and the licence is untouched."""
    use_key_on(site, "b", "in-b")
    key = site.report_key("b")
    for bad in HOSTILE:
        with site.tampered(key, bad):
            for status in site.wait_for_all(lambda status: unknown(site, status, "b")):
                assert key in str(node(site, status, "b")["problem"])
                assert names(status, key)
                assert status["keyState"] == "Ready"
                assert licensed(status, "in-b")
        site.wait_for_all(lambda status: keys_in(status).get("b") == {"in-b": "ok"} and not names(status, key))


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"], ids=["last", "first"])
def test_a_report_with_an_impossible_time_stops_no_coordinator(site: LiveSite, at: str) -> None:
    """Both live on and show the node's keys as before, and both do so when they are started again."""
    use_key_on(site, "b", f"at-{at[:4]}")
    key, before = site.report_key("b"), {label: daemon.pid for label, daemon in site.coordinators.items()}
    said = re.sub(rb'"writtenAt":"[^"]*"', f'"writtenAt":"{at}"'.encode(), site.read(key).value)
    reported = "5000-01-01T00:00:00Z" if at > "5" else "2000-01-01T00:00:00Z"

    def shown(status: Status) -> bool:
        if site.read(key).value != said:  # the agent has told something new meanwhile
            site.write(key, said)
        return node(site, status, "b")["reportedAt"] == reported

    with site.tampered(key, said):
        for _ in range(2):
            for status in site.wait_for_all(shown, within=20):
                assert keys_in(status)["b"] == {f"at-{at[:4]}": "ok"}
                assert licensed(status, f"at-{at[:4]}")
            assert {label: daemon.pid for label, daemon in site.coordinators.items()} == before
            for label, coordinator in site.coordinators.items():
                coordinator.end()
                coordinator.start()
                before[label] = coordinator.pid


def test_an_unknown_node_starts_no_buffer_and_stops_nobody(site: LiveSite) -> None:
    """Long after a removal would have settled there is no buffer; the other node's keys still count and show."""
    use_key_on(site, "b", "held")
    site.write(site.report_key("b"), b"{}")
    site.wait_for_all(lambda status: unknown(site, status, "b"))
    let_pass(LONG)
    site.plug("a", site.new_key("second"))
    for status in site.wait_for_all(lambda status: keys_in(status)["a"] == {"second": "ok"}):
        assert status["keyState"] == "Abnormal"  # one key is presumed in node b
        assert licensed(status, "held")
        assert not status["stale"]
    site.unplug("a", "second")
    site.unplug("b", "held")  # the agent's next report replaces what was written in its place
    for status in site.wait_for_all(lambda status: status["keyState"] == "Missing" and removal_settled(status)):
        assert status["license"]["status"] == "Valid"
        assert not unknown(site, status, "b")


def test_a_report_of_another_node_is_not_believed(site: LiveSite) -> None:
    """A node's own good report under the other node's key makes that node unknown: keys cannot be moved on paper."""
    use_key_on(site, "a", "mine")
    key = site.report_key("b")
    with site.tampered(key, site.read(site.report_key("a")).value):
        for status in site.wait_for_all(lambda status: unknown(site, status, "b")):
            assert names(status, key)
            assert status["keyState"] == "Ready"
    site.wait_for_all(lambda status: not unknown(site, status, "b"))


def test_a_bad_last_report_of_a_dead_node_makes_it_unknown(site: LiveSite) -> None:
    """With the agent gone and its last report bad nothing is known of the node; back again, all is well."""
    use_key_on(site, "b", "last")
    site.agents["b"].end(SIGTERM)
    site.wait_for_all(lambda status: not node(site, status, "b")["reachable"], 10)
    key = KEYS.last_seen(site.nodes["b"].uuid)
    site.write(key, b"\x00")
    for status in site.wait_for_all(lambda status: unknown(site, status, "b")):
        assert names(status, key)
        assert (status["keyState"], licensed(status, "last")) == ("Ready", True)
    let_pass(LONG)
    assert licensed(site.status("a"), "last")
    site.agents["b"].start()
    site.wait_for_all(lambda status: keys_in(status).get("b") == {"last": "ok"} and not names(status, key), 10)


@pytest.mark.parametrize("which", ["ledger", "site"])
def test_without_its_memory_the_site_decides_nothing_and_forgets_nothing(site: LiveSite, which: str) -> None:
    """A bad ledger or site: both nodes serve the last answer as stale, name the key, and go on when it is put right."""
    use_key_on(site, "a", "kept")
    key = getattr(KEYS, which)
    for bad in HOSTILE:
        before = site.status("a")
        with site.tampered(key, bad):
            site.plug("b", site.new_key("late"))
            for status in site.wait_for_all(lambda status: status["stale"]):
                assert names(status, key)
                assert licensed(status, "kept")
                assert status["index"] == before["index"]
            assert site.read(key).value == bad  # nobody wrote over what might be recovered
        for status in site.wait_for_all(lambda status: status["keyState"] == "Abnormal" and not status["stale"]):
            assert licensed(status, "kept")
            assert not names(status, key)
        site.unplug("b", "late")
        site.wait_for_all(lambda status: status["keyState"] == "Ready")


@pytest.mark.parametrize("which", ["status", "clock"])
def test_what_the_leader_wrote_itself_it_writes_again(site: LiveSite, which: str) -> None:
    """A bad status or clock is replaced by the leader at once; the index goes on rising and the licence stays.

    But no clock of a newer version, of which something would be lost.
    """
    use_key_on(site, "a", "own")
    key = getattr(KEYS, which)
    for bad in (each for each in HOSTILE if (which, each) != ("clock", NEWER)):
        before = site.status("a")["index"]
        site.write(key, bad)
        for status in site.wait_for_all(lambda status: status["index"] > before and not names(status, key)):  # noqa: B023
            assert licensed(status, "own")
            assert not status["stale"]
        assert json.loads(site.read(key).value)["version"] == 1


def test_a_bad_leader_key_is_named_and_the_leader_leads_on(site: LiveSite) -> None:
    """What stands under the leader key does not end its term: the key is named, changes are still published."""
    key, before = KEYS.leader, site.status("a")
    for number, bad in enumerate(HOSTILE):
        with site.tampered(key, bad):
            site.wait_for_all(lambda status: names(status, key))
            use_key_on(site, "b", f"led-{number}")
            for status in map(site.status, site.nodes):
                assert (status["epoch"], status["leader"], status["stale"]) == (
                    before["epoch"],
                    before["leader"],
                    False,
                )
        site.wait_for_all(lambda status: not names(status, key))
        site.unplug("b", f"led-{number}")


def test_a_leader_key_without_a_lease_is_not_taken_for_a_leader(site: LiveSite) -> None:
    """A leader key that nobody holds would stay for ever: it is named, nobody is shown to lead, the licence stays."""
    use_key_on(site, "a", "leaseless")
    put = Put(KEYS.leader, site.read(KEYS.leader).value)
    site.in_store(lambda store: store.commit((), (put,)))
    for status in site.wait_for_all(lambda status: status["stale"] and names(status, KEYS.leader)):
        assert status["leader"] is None
        assert licensed(status, "leaseless")
    site.in_store(lambda store: store.commit((), (Delete(KEYS.leader),)))
    site.wait_for_all(lambda status: status["leader"] and not status["stale"] and not names(status, KEYS.leader))


def test_strangers_are_named_and_do_not_count(site: LiveSite) -> None:
    """Reports of machines that are no members, good or bad, and keys that are no text, change nothing but a reason."""
    use_key_on(site, "a", "ours")
    stranger = KEYS.nodes + "00000000-0000-4000-8000-000000000000"
    report = site.read(site.report_key("a")).value
    for value in (report, *HOSTILE):
        site.write(stranger, value)
        for status in site.wait_for_all(lambda status: names(status, stranger)):
            assert (status["keyState"], licensed(status, "ours")) == ("Ready", True)
            assert len(status["nodes"]) == 2
    site.in_store(lambda store: store.commit((), (Delete(stranger),)))
    site.wait_for_all(lambda status: not names(status, stranger))


def test_a_key_in_etcd_that_is_no_text_stops_nobody(site: LiveSite) -> None:
    """A key with bytes that are not UTF-8, among the reports, is shown as a stranger's and the daemons run on."""
    use_key_on(site, "a", "text")
    pids = [daemon.pid for daemon in site.daemons]
    raw = KEYS.nodes + "\udcff"  # in an argument of a program this is the byte 0xff
    site.etcd.etcdctl("put", raw, "{}")
    site.wait_for_all(lambda status: names(status, KEYS.nodes))
    site.unplug("a", "text")
    site.wait_for_all(lambda status: status["keyState"] == "Missing")
    site.etcd.etcdctl("del", raw)
    site.wait_for_all(lambda status: not names(status, KEYS.nodes))
    assert [daemon.pid for daemon in site.daemons if daemon.running] == pids


def test_another_site_in_the_same_etcd_is_not_ours(site: LiveSite) -> None:
    """What is written under another site's prefix, even one that begins like ours, changes nothing."""
    use_key_on(site, "a", "alone")
    before = site.get("a", "/v1/status").headers["ETag"]
    report = site.read(site.report_key("a")).value
    for keys in Keys(KEYS.site_id + "2"), Keys("other"):
        puts = [Put(key, report) for key in (keys.node(site.nodes["a"].uuid), keys.ledger, keys.leader, keys.status)]
        site.in_store(lambda store, puts=puts: store.commit((), puts))  # type: ignore[misc]
    let_pass(SETTLE)
    assert site.get("a", "/v1/status").headers["ETag"] == before
