"""The site of `docker-compose.ha.yml` comes up with one command, is tried out as its page says, and outlives a node."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.integration.containers.compose_site import (
    FILE,
    NODES,
    USB_FILE,
    VIRTUAL_IP,
    CommandError,
    ComposeSite,
    at_rest,
    other,
    shown_holders,
    url_of,
)
from tests.site import Status, keys_in
from tests.waiting import eventually_sync

pytestmark = pytest.mark.timeout(400)  # the first test also builds the images

AT_REST = 20.0
SEEN = 10.0
MOVED = 10.0
"""Seconds in which the virtual IP and leadership have moved, on a machine that runs other tests too."""
NET_ADMIN, NET_RAW = 1 << 12, 1 << 13
OPENS_KEYS = {"TWINKEY_USB_GROUP": "4711"}
OWN_FILES = {"keyring.json": "pinned", "tokens.json": "hashes"}


def test_it_comes_up_with_one_command(composed: ComposeSite) -> None:
    """A client on the site's network is answered at the virtual IP that the site is licensed and both nodes report."""
    composed.shown(VIRTUAL_IP, at_rest, AT_REST)
    said = composed.run("twinkey", "status")
    assert re.search("^Licence +Valid", said, re.MULTILINE), said
    assert re.findall("^Node (.) +reachable", said, re.MULTILINE) == list(NODES), said


def test_a_simulated_key_licenses_both_nodes(composed: ComposeSite) -> None:
    """Plugged into node a, it makes the site Ready as both nodes tell; pulled out, it is gone for both."""

    def ready(status: Status) -> bool:
        held = keys_in(status) == {"a": {"K1": "ok"}, "b": {}}
        return held and (status["keyState"], status["license"]["keyId"]) == ("Ready", "K1")

    assert composed.run("keys", "plug", "a", "K1") == "K1 is plugged into node a.\n"
    for place in NODES.values():
        composed.shown(place, ready, SEEN)
    assert composed.run("keys", "unplug", "a", "K1") == "K1 is unplugged from node a.\n"
    for place in NODES.values():
        composed.shown(place, lambda status: keys_in(status) == {"a": {}, "b": {}}, SEEN)


def test_the_virtual_ip_leaves_a_node_that_is_stopped(composed: ComposeSite) -> None:
    """The other node holds it and leads, and with the stopped one back all is whole."""
    composed.shown(VIRTUAL_IP, at_rest, AT_REST)
    (stopped,) = composed.holders()
    survivor = other(stopped)

    def taken_over(status: Status) -> bool:
        return shown_holders(status) == [survivor] == [status["leader"]["name"]] and not status["stale"]

    composed.stop_node(stopped)
    composed.shown(VIRTUAL_IP, taken_over, MOVED)
    composed.up()
    composed.shown(VIRTUAL_IP, at_rest, AT_REST)


def test_the_agent_tells_keepalived(composed: ComposeSite) -> None:
    """A node that is drained gives the virtual IP up: keepalived follows the file that the agent writes."""
    composed.shown(VIRTUAL_IP, at_rest, AT_REST)
    (holder,) = composed.holders()
    drain = ("twinkey", "node", "drain", holder, "--url", url_of(NODES[other(holder)]))
    try:
        assert f"The virtual IP is on node {other(holder)}." in composed.run(*drain)
        assert composed.holders() == [other(holder)]
    finally:
        composed.run(*drain, "--undo")


def test_nothing_may_do_more_than_it_needs(composed: ComposeSite) -> None:
    """Every process has a read-only root, can gain nothing, and is not root: keepalived is, with two of its powers."""
    containers = composed.containers()
    assert {"etcd-witness", "node-a", "agent-a", "coordinator-a", "keepalived-a"} <= set(containers)
    for service, container in containers.items():
        status = Path(f"/proc/{container.attrs['State']['Pid']}/status").read_text(encoding="ascii")
        facts = dict(re.findall(r"^(\w+):\s+(\w+)", status, re.MULTILINE))
        moves_address = service.startswith("keepalived")
        assert container.attrs["HostConfig"]["ReadonlyRootfs"], service
        assert facts["NoNewPrivs"] == "1", service
        assert (facts["Uid"] == "0") == moves_address, service
        assert int(facts["CapBnd"], 16) == (NET_ADMIN | NET_RAW if moves_address else 0), service
        assert container.attrs["HostConfig"]["LogConfig"]["Config"]["max-size"], service


def test_a_site_of_ones_own_is_never_furnished(built: ComposeSite, tmp_path: Path) -> None:
    """With TWINKEY_SITE nothing is made: what is missing is named, and what is there is taken as it is."""
    tmp_path.chmod(0o755)
    with pytest.raises(CommandError, match=f"{tmp_path}/keyring.json cannot be read"):
        built.run("prepare", environment={"TWINKEY_SITE": str(tmp_path)})
    for name, text in OWN_FILES.items():
        (tmp_path / name).write_text(text, encoding="ascii")
    built.run("prepare", environment={"TWINKEY_SITE": str(tmp_path)})
    assert {path.name: path.read_text(encoding="ascii") for path in tmp_path.iterdir()} == OWN_FILES


def test_the_keys_of_the_host_are_for_node_a_alone(built: ComposeSite) -> None:
    """The second file gives node a's agent the host's USB bus and the group that opens keys, and no other."""
    before, after = (
        json.loads(built.compose("config", "--format", "json", files=files, environment=OPENS_KEYS))["services"]
        for files in ((FILE,), (FILE, USB_FILE))
    )
    assert [service for service in after if after[service] != before[service]] == ["agent-a"]
    agent = after["agent-a"]
    assert agent["environment"]["TWINKEY_BUS"] == "usb"
    assert "/dev/bus/usb" in {volume["source"] for volume in agent["volumes"]}
    assert agent["group_add"] == ["4711"]


def test_it_goes_with_all_that_it_kept(composed: ComposeSite) -> None:
    """`down -v` leaves no container, no volume and no network."""
    assert composed.remains()
    composed.down()
    assert eventually_sync(lambda: not composed.remains(), 5.0)
