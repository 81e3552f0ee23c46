"""Synchronise and licences for USB keys: the keys are read again on request, and uploads for a key follow the key."""

from __future__ import annotations

import datetime as dt
import json
from signal import SIGKILL

from msgspec.structs import replace

from cluster.report import Report, Reread
from cluster.values import decode_value, encode_value
from licensing.envelope import open_licence
from licensing.keyring import parse_keyring
from licensing.seen import Challenge
from tests.integration.site.vendor import Vendor, refused
from tests.site import KEYS, Answer, LiveSite
from tests.waiting import eventually_sync

ACTIONS = "/v1/licenses/actions"


def synchronise(site: LiveSite, label: str, *nodes: str) -> Answer:
    """Synchronise by the platform's own call; with no nodes named, on all."""
    body = {"reloadLicense": {"managementNodeUuids": [site.nodes[node].uuid for node in nodes]} if nodes else {}}
    return site.call(label, "PUT", f"/zstack{ACTIONS}", json.dumps(body).encode(), within=20)


def report(site: LiveSite, label: str) -> Report:
    """Return a node's live report."""
    key = site.report_key(label)
    return decode_value(key, site.read(key).value, Report)


def challenges(site: LiveSite, label: str) -> list[Challenge | None]:
    """Return what the keys of a node signed last."""
    return [key.challenge for key in report(site, label).keys]


def test_the_keys_of_all_nodes_are_read_again(site: LiveSite) -> None:
    """Every node challenges its keys anew, and the answer has the licence in force and the keys that were read."""
    site.plug("a", site.new_key("K1"))
    site.wait_for_all(lambda status: status["license"]["name"] == "K1")
    before = {label: report(site, label) for label in site.nodes}
    answer = synchronise(site, "b")
    assert answer.status == 200, answer.body
    body = json.loads(answer.body)
    assert body["inventory"]["keyId"] == "K1"
    assert body["licences"] == ["K1"]
    assert challenges(site, "a") != [key.challenge for key in before["a"].keys]
    assert all(report(site, label).reread != before[label].reread for label in site.nodes)


def test_only_the_named_node_reads_its_keys(site: LiveSite) -> None:
    """The other node's report stays as it is."""
    before = report(site, "b")
    assert synchronise(site, "b", "a").status == 200
    assert report(site, "b") == before


def test_a_node_that_cannot_be_reached_is_named(site: LiveSite) -> None:
    """Named, it is refused by 409; with no nodes named, the others are read; a stranger is 404."""
    site.agents["b"].end(SIGKILL)
    site.wait_for("a", lambda status: [node["reachable"] for node in status["nodes"]] == [True, False], within=8)
    assert refused(synchronise(site, "a", "b")) == (409, "node-unreachable")
    assert synchronise(site, "a").status == 200
    stranger = b'{"reloadLicense": {"managementNodeUuids": ["nobody"]}}'
    assert refused(site.call("a", "PUT", ACTIONS, stranger)) == (404, "not-found")


def test_an_agent_that_starts_does_what_it_was_asked(site: LiveSite) -> None:
    """A request that came while the agent was away is done when it is back."""
    site.agents["a"].end(SIGKILL)
    site.write(KEYS.reread(site.nodes["a"].uuid), encode_value(Reread("asked-meanwhile")))
    site.agents["a"].start()
    eventually_sync(lambda: report(site, "a").reread == "asked-meanwhile", within=10)


def test_a_request_that_makes_no_sense_harms_nothing(site: LiveSite) -> None:
    """The agent says so in its log and goes on."""
    site.write(KEYS.reread(site.nodes["a"].uuid), b"\xff")
    eventually_sync(lambda: b"request cannot be used" in site.agents["a"].log)
    assert synchronise(site, "a").status == 200


def test_a_licence_for_a_key_is_uploaded_while_the_key_is_in(site: LiveSite) -> None:
    """The vendor's new licence for a key goes in force at once, at whichever node; without its key it is refused."""
    vendor, key = Vendor(site), site.new_key("U1")
    ring = parse_keyring((site.site.folder / "keyring.json").read_bytes())
    old = open_licence(key.licence_file, ring).licence
    file = vendor.sign(replace(old, sequence=2, name="Update", expires=old.expires + dt.timedelta(days=365)))
    assert refused(site.call("b", "POST", "/v1/licenses", file)) == (422, "LICENSE.1002")
    site.plug("a", key)
    site.wait_for_all(lambda status: status["license"]["keyId"] == "U1")
    assert vendor.install(file)["inventory"]["user"] == "Update"
    site.wait_for_all(lambda status: status["license"]["name"] == "Update")
    path = f"/v1/licenses/mn/{site.nodes['a'].uuid}/actions?uuid={old.licence_id}"
    assert refused(site.call("a", "DELETE", path)) == (409, "LICENSE.1001")
