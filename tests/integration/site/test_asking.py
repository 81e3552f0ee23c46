"""What the platform reads, reports and asks, on a real site: at either node, and while nobody leads."""

from __future__ import annotations

import http.client
import json
from signal import SIGTERM
from typing import Any

from cluster.local_etcd import LOOPBACK
from tests.site import LEASE_OVER, LiveSite, keys_in
from tests.waiting import eventually_sync

Body = dict[str, Any]


def read(site: LiveSite, label: str, path: str) -> Body:
    """Return the body of a good answer of a node."""
    answer = site.get(label, path)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def tell(site: LiveSite, label: str, method: str, path: str, body: Body) -> Body:
    """Send a body to a node as the platform's clients do, and return that of its good answer."""
    headers = {"Authorization": f"OAuth {site.site.token}", "Content-Type": "application/json"}
    answer = site.call(label, method, path, json.dumps(body).encode(), headers)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def ready(site: LiveSite, name: str) -> None:
    """Plug a key into node a and wait until both nodes show it in use."""
    site.plug("a", site.new_key(name))
    site.wait_for_all(lambda status: status["license"]["keyId"] == name and status["keyState"] == "Ready")


def test_both_nodes_tell_the_same_licence_and_keys(site: LiveSite) -> None:
    """One inventory and one list of keys, whichever node and prefix is asked."""
    ready(site, "told")
    at_a = site.nodes["a"].uuid
    (licence,) = {site.get(label, f"{p}/licenses").body for label in "ab" for p in ("/v1", "/zstack/v1")}
    inventory = json.loads(licence)["inventory"]
    assert (inventory["uuid"], inventory["managementNodeUuid"], inventory["hostNum"]) == ("told", at_a, 10)
    for label in "ab":
        keys = tell(site, label, "POST", "/zstack/v1/licenses/actions", {"getLicenseUKeyStatus": {}})
        row = {"managementNodeUuid": at_a, "keyId": "told", "status": "Ready", "assurance": "proven"}
        assert keys["inventories"] == [row]
    site.unplug("a", "told")
    site.wait_for_all(lambda status: status["keyState"] == "Missing")
    (row,) = read(site, "b", "/v1/licenses/ukeys")["inventories"]
    assert (row["managementNodeUuid"], row["keyId"], row["status"]) == (at_a, "told", "Missing")


def test_a_plug_is_recorded_and_the_history_is_paged(site: LiveSite) -> None:
    """The newest records speak of the key that was plugged in last, in every order and at both nodes."""
    ready(site, "recorded")
    newest = "/v1/licenses/records?sortBy=uploadDate&sortDirection=desc&limit=5"
    pages = [read(site, label, newest) for label in "ab"]
    assert pages[0] == pages[1]
    assert "recorded" in {record["keyId"] for record in pages[0]["inventories"]}
    for date in ("uploadDate", "issuedDate", "expiredDate"):
        whole = read(site, "b", f"/v1/licenses/records?sortBy={date}")
        assert sorted(record["number"] for record in whole["inventories"]) == list(range(whole["total"]))
        dates = [record[date][:19] for record in whole["inventories"]]  # in whole seconds
        assert dates == sorted(dates)


def test_usage_told_at_one_node_counts_at_the_other(site: LiveSite) -> None:
    """Over the quota the other node refuses and says that a start is not allowed; usage that went down ends it."""
    ready(site, "used")
    question = {"operation": "vm.create"}
    tell(site, "b", "PUT", "/zstack/v1/licenses/usage", {"hosts": 11})
    site.wait_for("a", lambda status: not status["startAllowed"])
    assert tell(site, "a", "POST", "/v1/licenses/authorize", question)["allowed"] is False
    tell(site, "a", "PUT", "/v1/licenses/usage", {"hosts": 10})
    site.wait_for("b", lambda status: status["startAllowed"])
    assert tell(site, "b", "POST", "/v1/licenses/authorize", question)["allowed"] is True


def test_usage_is_taken_while_nobody_leads(site: LiveSite) -> None:
    """The leader is gone and its lease runs out: a report is stored all the same, and counts once somebody leads."""
    ready(site, "led")
    leader, other = site.leader()
    site.coordinators[leader].end()
    told = tell(site, other, "PUT", "/v1/licenses/usage", {"hosts": 7})
    assert told["usage"]["hosts"] == 7
    site.wait_for(other, lambda status: not status["stale"] and status["usage"]["hosts"] == 7, LEASE_OVER)


def test_a_stream_tells_of_a_plug_on_the_other_node(site: LiveSite) -> None:
    """Who listens at node b hears of a plug at node a; at the end of the daemon the stream ends."""
    connection = http.client.HTTPConnection(LOOPBACK, site.nodes["b"].port, timeout=10)
    try:
        connection.request("GET", "/v1/status/stream", headers={"Authorization": f"Bearer {site.site.token}"})
        stream = connection.getresponse()
        assert stream.getheader("Content-Type") == "text/event-stream"
        first = event(stream)
        assert first == json.loads(site.get("b", "/v1/status").body)
        site.plug("a", site.new_key("streamed"))
        eventually_sync(lambda: keys_in(event(stream))["a"] == {"streamed": "ok"})
        daemon = site.coordinators["b"]
        daemon.send(SIGTERM)
        while stream.readline():
            pass
        eventually_sync(lambda: not daemon.running)
        assert daemon.exit_code == 0
    finally:
        connection.close()


def event(stream: http.client.HTTPResponse) -> Body:
    """Return the status that the next event tells."""
    while not (line := stream.readline()).startswith(b"data: "):
        assert line, "the stream ended"
    return json.loads(line.removeprefix(b"data: "))
