"""`twinkey node drain`: what it asks for, how it waits, and what it says became of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.console.recorded_site import Reply, recorded_site
from tests.unit.console.site_stub import STATUS

NODES = STATUS["nodes"]
NOBODY_ELSE = "It still holds the virtual IP, and keeps it until another node is reachable and not drained."
PUT_A, PUT_SELF = "PUT /v1/nodes/u-a/actions", "PUT /v1/nodes/self/actions"
GET = "GET /v1/status"
POLL = "GET /v1/status?wait=10.0"
DONE = Reply(200, {"managementNodeUuid": "u-a", "drained": True, "changed": True, "text": "The node u-a is drained."})
REACHABLE = {"reachable": True}
LEADER = {"a": {"managementNodeUuid": "u-a", "name": "a"}, "b": {"managementNodeUuid": "u-b", "name": "b"}, "": None}


def status(
    leader: str, holders: tuple[str, ...] = (), state: str | None = None, b: dict[str, bool] = REACHABLE
) -> Reply:
    """Return a status with this leader and these holders of the virtual IP; `b` is how the other node is."""
    nodes = [NODES[0], NODES[1] | b]
    return Reply(200, STATUS | {"leader": LEADER[leader], "vipHolders": holders, "vipState": state, "nodes": nodes})


async def test_it_waits_until_another_node_leads_and_holds_the_address() -> None:
    """Neither one alone is enough, nor that nobody leads; then it says where both are."""
    async with recorded_site() as site:
        site.gives(GET, status("a", ("u-a",), "held"))
        site.gives(PUT_A, DONE)
        between = [("", ("u-a",), "held"), ("b", ("u-a",), "held"), ("b", (), "nobody"), ("b", ("u-b",), "held")]
        site.gives(POLL, Reply(304, ""), *(status(*each) for each in between))
        result = await site.run("node", "drain", "a", "--within", "60")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "The node u-a is drained.",
        "Node b leads.",
        "The virtual IP is on node b.",
    ]
    assert site.calls.count(POLL) == 5


async def test_without_a_virtual_ip_leadership_is_enough() -> None:
    """A node that did not lead and does not hold the address has nothing to hand over."""
    async with recorded_site() as site:
        site.gives(GET, status("b"))
        site.gives(PUT_A, DONE)
        result = await site.run("node", "drain", "u-a")
    assert (result.exit_code, result.stdout) == (0, "The node u-a is drained.\nNode b leads.\n")
    assert POLL not in site.calls


async def test_without_a_name_it_is_the_node_that_is_asked() -> None:
    """On a node's console nobody has to know its name."""
    async with recorded_site() as site:
        site.gives(GET, status("b"))
        site.gives(PUT_SELF, DONE)
        assert (await site.run("node", "drain", "--force")).exit_code == 0
    (sent,) = (asked for asked in site.asked if asked.call == PUT_SELF)
    assert json.loads(sent.body) == {"drain": {"force": True}}


@pytest.mark.parametrize(
    ("last", "says"),
    [
        pytest.param(status("a", ("u-b",), "held"), "It still leads", id="leads"),
        pytest.param(status("", ("u-b",), "held"), "No node leads yet", id="nobody-leads"),
        pytest.param(status("b", ("u-a",), "held"), "It still holds the virtual IP: set track_file", id="holds"),
        pytest.param(status("b", ("u-a",), "held", {"reachable": False}), NOBODY_ELSE, id="lonely"),
        pytest.param(status("b", ("u-a",), "held", REACHABLE | {"drained": True}), NOBODY_ELSE, id="both-drained"),
        pytest.param(status("b", (), "nobody"), "No node holds the virtual IP: check keepalived", id="nobody-holds"),
    ],
)
async def test_what_has_not_happened_in_time_is_said(last: Reply, says: str) -> None:
    """The exit code is 1, and the sentence says what to look at."""
    async with recorded_site() as site:
        site.gives(GET, status("a", ("u-a",), "held"), last)
        site.gives(PUT_A, DONE)
        result = await site.run("node", "drain", "a", "--within", "0")
    assert result.exit_code == 1
    assert says in result.stdout


async def test_json_says_the_same() -> None:
    """For programs: who leads, who holds, and whether the node has handed over."""
    async with recorded_site() as site:
        site.gives(GET, status("b", ("u-b",), "held"))
        site.gives(PUT_A, DONE)
        said: dict[str, Any] = json.loads((await site.run("node", "drain", "a", "--json")).stdout)
    roles = {"leader": "u-b", "vipHolders": ["u-b"], "vipState": "held"}
    assert said == {"managementNodeUuid": "u-a", "drained": True, "handedOver": True} | roles


async def test_undo_takes_it_back_and_waits_for_nothing() -> None:
    """A node that is back has nothing to hand over; the site's words are shown."""
    async with recorded_site() as site:
        site.gives(GET, status("b"))
        site.gives(PUT_A, Reply(200, DONE.body | {"drained": False, "text": "The node u-a is not drained."}))
        result = await site.run("node", "drain", "a", "--undo")
    assert (result.exit_code, result.stdout) == (0, "The node u-a is not drained.\n")
    (sent,) = (asked for asked in site.asked if asked.call == PUT_A)
    assert json.loads(sent.body) == {"undrain": {}}


async def test_refusals_are_in_the_sites_own_words() -> None:
    """An unknown name is refused here, and what the site refuses is told with its hint."""
    error = {"error": {"code": "nobody-takes-over", "description": "The node is not drained.", "hint": "Force it."}}
    async with recorded_site() as site:
        site.gives(GET, status("a"))
        site.gives(PUT_A, Reply(409, error))
        unknown = await site.run("node", "drain", "c")
        refused = await site.run("node", "drain", "a")
    assert (unknown.exit_code, "name one of a, b" in unknown.stderr) == (1, True)
    assert (refused.exit_code, "The node is not drained. Force it." in refused.stderr) == (1, True)


async def test_the_status_table_shows_a_drain() -> None:
    """Beside who leads and who holds the virtual IP."""
    drained = [NODES[0] | {"drained": True}, NODES[1]]
    async with recorded_site() as site:
        site.gives(GET, Reply(200, STATUS | {"nodes": drained}))
        shown = (await site.run("status")).stdout
    assert "leader; virtual IP; drained; keys: K1" in shown
