"""The site of `docker-compose.ha.yml` comes up with one command, is tried out as its page says, and outlives a node."""

from __future__ import annotations

import re
import tomllib
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.integration.containers.compose_site import (
    FILE,
    NET,
    NODES,
    USB_FILE,
    VIRTUAL_IP,
    WITNESS,
    CommandError,
    ComposeSite,
    at_rest,
    other,
    shown_holders,
    url_of,
)
from tests.integration.containers.webhook import Webhook
from tests.site import Status, keys_in
from tests.waiting import eventually_sync

pytestmark = pytest.mark.timeout(400)  # the first test also builds the images

AT_REST = 20.0
SEEN = 10.0
MOVED = 10.0
"""Seconds in which the virtual IP and leadership have moved, on a machine that runs other tests too."""
NET_ADMIN, NET_RAW = 1 << 12, 1 << 13
SCRAPED = 20.0
ALERTED = 60.0
OPENS_KEYS = {"TWINKEY_USB_GROUP": "4711"}
ETC = "/etc/twinkey"
PRIVATE = {
    "coordinator": {"coordinator/etcd.key", "coordinator/http.key", "tokens.json"},
    "agent": {"agent/etcd.key"},
}
"""What each daemon has to keep to itself, and all that there is of that for its node."""
NOBODYS = {"token", "platform.token", "authority/ca.key"}
MADE_UP = "ETCD_INITIAL_CLUSTER_TOKEN"
"""Each founding makes up one of its own, and all members have to have the same."""


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
    assert {f"{part}-a" for part in ("node", "etcd", "agent", "coordinator", "keepalived")} < set(containers)
    for service, container in containers.items():
        status = Path(f"/proc/{container.attrs['State']['Pid']}/status").read_text(encoding="ascii")
        facts = dict(re.findall(r"^(\w+):\s+(\w+)", status, re.MULTILINE))
        moves_address = service.startswith("keepalived")
        assert container.attrs["HostConfig"]["ReadonlyRootfs"], service
        assert facts["NoNewPrivs"] == "1", service
        assert (facts["Uid"] == "0") == moves_address, service
        assert int(facts["CapBnd"], 16) == (NET_ADMIN | NET_RAW if moves_address else 0), service
        assert container.attrs["HostConfig"]["LogConfig"]["Config"]["max-size"], service


def test_private_keys_are_read_by_whom_they_concern_alone(composed: ComposeSite) -> None:
    """Each daemon reads its own keys, and no other's; nobody who runs has what founded the site."""
    for daemon, own in PRIVATE.items():
        for name in {*NOBODYS}.union(*PRIVATE.values()):
            if name in own:
                assert composed.read(f"{daemon}-a", f"{ETC}/{name}")
            else:
                with pytest.raises(CommandError, match=r"Permission denied|No such file"):
                    composed.read(f"{daemon}-a", f"{ETC}/{name}")


def test_etcd_lets_in_nobody_without_a_certificate(composed: ComposeSite, tmp_path: Path) -> None:
    """With its own certificate an agent reads the site, and may not write another node's report; without, nothing."""
    files = {name: tmp_path / name for name in ("ca.pem", "agent/etcd.pem", "agent/etcd.key")}
    for name, file in files.items():
        file.parent.mkdir(exist_ok=True)
        file.write_text(composed.read("agent-a", f"{ETC}/{name}"), encoding="ascii")
    authority, certificate, key = map(str, files.values())
    uuid = tomllib.loads(composed.read("agent-a", f"{ETC}/agent.toml"))["node"]
    prefix = "/twinkey/trial/nodes/"

    refused = composed.etcdctl("--cacert", authority, "get", "--prefix", prefix)
    assert refused.returncode
    assert "context deadline exceeded" in refused.stderr or "certificate required" in refused.stderr, refused.stderr

    as_agent = ("--cacert", authority, "--cert", certificate, "--key", key)
    reports = composed.etcdctl(*as_agent, "get", "--prefix", "--keys-only", prefix).stdout.split()
    assert len(reports) == len(NODES), reports
    (foreign,) = (report for report in reports if not report.endswith(uuid))
    denied = composed.etcdctl(*as_agent, "put", foreign, "{}")
    assert denied.returncode
    assert "permission denied" in denied.stderr, denied.stderr


def test_a_token_without_the_scope_may_not(composed: ComposeSite) -> None:
    """The platform's token reads, and is refused with 403 where a licence is to be installed."""
    composed.shown(VIRTUAL_IP, at_rest, AT_REST)
    token = composed.compose("run", "--rm", "-T", "--entrypoint", "cat", "twinkey", f"{ETC}/platform.token").strip()
    assert composed.ask(VIRTUAL_IP, "GET", "/v1/status", token=token).status == HTTPStatus.OK
    assert composed.ask(VIRTUAL_IP, "POST", "/v1/licenses", b"", token).status == HTTPStatus.FORBIDDEN
    assert composed.ask(VIRTUAL_IP, "GET", "/v1/status", token="unknown").status == HTTPStatus.UNAUTHORIZED


def test_an_alert_reaches_a_webhook(composed: ComposeSite, webhook: Webhook) -> None:
    """A refused licence is told to ALERT_WEBHOOK: scraped over TLS, by the rules of the repository, by Alertmanager."""
    counted = 'twinkey_uploads_total{result="refused"}'
    composed.shown(VIRTUAL_IP, at_rest, AT_REST)
    eventually_sync(lambda: len(composed.asked_of_prometheus(counted)) == len(NODES), SCRAPED, "both nodes are scraped")
    refused = composed.ask(VIRTUAL_IP, "POST", "/v1/licenses", b"no licence")
    assert HTTPStatus.BAD_REQUEST <= refused.status < HTTPStatus.INTERNAL_SERVER_ERROR, refused
    eventually_sync(lambda: webhook.told("UploadRejected"), ALERTED, "the webhook is told")
    (alert,) = webhook.told("UploadRejected")
    assert alert["status"] == "firing"
    assert alert["annotations"]["runbook_url"].endswith("#uploadrejected")


def test_etcd_is_set_as_on_machines(composed: ComposeSite) -> None:
    """A member has every setting that `twinkey site init` writes for one, with the same value."""
    text = composed.read("agent-a", f"{ETC}/etcd/etcd.env")
    written = dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))
    given = composed.config()["services"]["etcd-a"]["environment"]
    assert "ETCD_CLIENT_CERT_AUTH" in written
    for name, value in written.items():
        if name != MADE_UP:
            assert given.get(name) == value, name


def test_a_site_of_ones_own_is_never_furnished(built: ComposeSite, tmp_path: Path) -> None:
    """With TWINKEY_SITE nothing is founded, and what is missing is named."""
    tmp_path.chmod(0o755)
    with pytest.raises(CommandError, match=f"{tmp_path}/etc-a/agent.toml cannot be read by uid 10001"):
        built.run("prepare", environment={"TWINKEY_SITE": str(tmp_path)})
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_site_of_ones_own_is_taken_as_it_is(built: ComposeSite, tmp_path: Path) -> None:
    """What was founded in the image is enough, and is not changed; a key that its daemon cannot read is named."""
    tmp_path.chmod(0o755)
    nodes = [word for label, place in NODES.items() for word in ("--node", f"{label}={NET}.{place}")]
    rest = ("--witness", f"witness={NET}.{WITNESS}", "--virtual-ip", f"{NET}.{VIRTUAL_IP}")
    built.in_image(tmp_path, "issuer", "keygen", "--out", "/site/vendor")
    keyring = ("--keyring", "/site/vendor/keyring.json")
    built.in_image(tmp_path, "site", "init", "--site-id", "acme", "--etc", "/site/etc-a", *keyring, *nodes, *rest)
    for name in ("b", "witness"):
        built.in_image(tmp_path, "site", "join", f"/site/etc-a/authority/join-{name}.tar", "--etc", f"/site/etc-{name}")

    own = {"TWINKEY_SITE": str(tmp_path)}
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    built.run("prepare", environment=own)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files

    (tmp_path / "etc-b" / "coordinator" / "http.key").chmod(0o600)
    with pytest.raises(CommandError, match=f"{tmp_path}/etc-b/coordinator/http.key cannot be read by uid 10002"):
        built.run("prepare", environment=own)


def test_the_keys_of_the_host_are_for_node_a_alone(built: ComposeSite) -> None:
    """The second file gives node a's agent the host's USB bus and the group that opens keys, and no other."""
    before, after = (built.config(*files, environment=OPENS_KEYS)["services"] for files in ((FILE,), (FILE, USB_FILE)))
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
