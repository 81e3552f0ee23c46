"""The pods: where they run, as whom, with whose certificates, and with which settings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.settings import AgentSettings
from cluster.settings import EtcdSettings, Settings, describe, read_settings
from coordinator.settings import CoordinatorSettings, TlsSettings
from tests.integration.chart.helm import SETS, Manifest, Rendered, render
from tests.integration.chart.kubelet import Started, start

DAEMONS: dict[str, type[Settings]] = {"agent": AgentSettings, "coordinator": CoordinatorSettings}
A, B = "5a5b9f0e-8f0e-4c56-9f3c-0d6a3b3f3a01", "5a5b9f0e-8f0e-4c56-9f3c-0d6a3b3f3a02"
PINNED = re.compile(r"^[a-z0-9./-]+(:[0-9]+\.[0-9]+\.[0-9]+|@sha256:[0-9a-f]{64})$")
LABEL = {"twinkey.io/management-node": "true"}
COORDINATOR_SECRETS = {"twinkey-coordinator-a", "host-2-coordinator"}

PODS = [(values, name) for values in SETS for name in render(values).pods()]
POD_IDS = [f"{values}-{name}" for values, name in PODS]


def hosts_of(pod: Manifest) -> list[str]:
    """Return the Kubernetes nodes on which a pod may run."""
    terms = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    (keys,) = {(field["key"], field["operator"]) for term in terms for field in term["matchFields"]}
    assert keys == ("metadata.name", "In")
    return [value for term in terms for field in term["matchFields"] for value in field["values"]]


def secrets_of(pod: Manifest) -> set[str]:
    """Return the names of all Secrets that a pod gets."""
    sources = [each for volume in pod["volumes"] for each in volume.get("projected", {}).get("sources", [])]
    return {source["secret"]["name"] for source in sources if "secret" in source}


def started(rendered: Rendered, name: str, host: str, *addresses: str) -> Started:
    """Start a pod of the chart on a node; without `addresses` these are 192.0.2.1 and 2001:db8::1."""
    known = addresses or ("192.0.2.1", "2001:db8::1")
    fields = {"spec.nodeName": host, "status.hostIP": known[0], "status.hostIPs": ",".join(known)}
    return start(rendered, rendered.pods()[name], fields)


def settings_of(pod: Started, kind: type[Settings], folder: Path) -> Any:
    """Read a daemon's settings as it would itself, with the file that its arguments name."""
    config = None
    if "--config" in pod.arguments:
        config = folder / "config.toml"
        config.write_text(pod.files[pod.arguments[pod.arguments.index("--config") + 1]], encoding="utf-8")
    return read_settings(config, kind, pod.environment)


def paths_in(settings: Settings) -> Iterator[Path]:
    """Return the files that certificates, keys, keyring and tokens are read from."""
    for table in (settings, getattr(settings, "etcd", None), getattr(settings, "tls", None)):
        for name in ("keyring", "tokens", "coordinator_ca", "ca", "cert", "key"):
            if path := getattr(table, name, None):
                yield path


# --- as whom -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("values", "name"), PODS, ids=POD_IDS)
def test_nobody_is_root_or_can_become_it(values: str, name: str) -> None:
    """No user is root, the root file system is read-only, nothing can be gained, and Kubernetes gives no token."""
    pod = render(values).pods()[name]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostPID", "hostIPC", "initContainers"} & set(pod)
    (container,) = pod["containers"]
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"] is True
    if values == "single-node" and "agent" in name:  # that one asks for it
        assert security["privileged"] is True
        return
    assert security == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


@pytest.mark.parametrize(("values", "name"), PODS, ids=POD_IDS)
def test_the_image_is_pinned(values: str, name: str) -> None:
    """A version or a digest says which image runs, and memory has a limit."""
    (container,) = render(values).pods()[name]["containers"]
    assert PINNED.match(container["image"])
    assert container["resources"]["limits"]["memory"]


def test_no_container_is_privileged_unless_that_is_asked_for() -> None:
    """With a runtime class or simulated keys the word does not even occur."""
    for values in ("minimal", "production"):
        assert all("privileged" not in str(pod) for pod in render(values).pods().values())


# --- where ---------------------------------------------------------------------------------------------------------


def test_each_node_has_an_agent_of_its_own() -> None:
    """It runs on that labelled node alone, in the host's network, and sees USB devices and the machine's id."""
    rendered = render("production")
    agents = rendered.of("DaemonSet")
    assert list(agents) == ["twinkey-agent-a", "twinkey-agent-b"]
    hosts = [hosts_of(rendered.pods()[name]) for name in agents]
    assert hosts == [["host-1.example.com"], ["host-2.example.com"]]
    for name in agents:
        pod = rendered.pods()[name]
        assert pod["nodeSelector"] == LABEL
        assert pod["hostNetwork"] is True
        folders = {volume["hostPath"]["path"] for volume in pod["volumes"] if "hostPath" in volume}
        own = {"/var/lib/twinkey/agent", "/var/lib/twinkey/keepalived"}
        assert folders == {"/dev/bus/usb", "/etc/machine-id"} | own
        assert pod["securityContext"]["supplementalGroups"] == [986]
        assert pod["runtimeClassName"] == "usb"


def test_simulated_keys_need_no_device() -> None:
    """Neither the host's devices nor a group of theirs are given to the agent."""
    pod = render("minimal").pods()["twinkey-agent-a"]
    assert "/dev/bus/usb" not in str(pod)
    assert "supplementalGroups" not in pod["securityContext"]


def test_coordinators_run_on_the_management_nodes_and_never_two_on_one() -> None:
    """There are as many as nodes, an old one goes before its successor comes, and one at a time is replaced."""
    deployment = render("production").one("Deployment", "twinkey-coordinator")
    spec, pod = deployment["spec"], deployment["spec"]["template"]["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert hosts_of(pod) == ["host-1.example.com", "host-2.example.com"]
    assert pod["nodeSelector"] == LABEL
    (apart,) = pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert apart["topologyKey"] == "kubernetes.io/hostname"
    assert apart["labelSelector"] == spec["selector"]
    assert "hostNetwork" not in pod


@pytest.mark.parametrize("values", SETS)
def test_what_is_kept_stays_on_the_machine(values: str) -> None:
    """The state folder of every daemon is the host's, and has to be there already."""
    rendered = render(values)
    for name, pod in rendered.pods().items():
        states = [volume["hostPath"] for volume in pod["volumes"] if volume["name"] == "state"]
        daemon = "agent" if "agent" in name else "coordinator"
        expected = [] if name.endswith("-test") else [{"path": f"/var/lib/twinkey/{daemon}", "type": "Directory"}]
        assert states == expected, name


def test_a_node_that_cannot_be_reached_keeps_its_pods() -> None:
    """They are not evicted, since they could be made anew nowhere else."""
    rendered = render("production")
    for name in ("twinkey-agent-a", "twinkey-coordinator"):
        taints = {each["key"]: each for each in rendered.pods()[name]["tolerations"]}
        assert "tolerationSeconds" not in taints["node.kubernetes.io/unreachable"]
        assert taints["node-role.kubernetes.io/control-plane"]["effect"] == "NoSchedule"


@pytest.mark.parametrize(
    ("change", "scheme"), [("https.enabled=true", "HTTPS"), ("https.enabled=false", "HTTP")], ids=["https", "http"]
)
def test_probes_speak_as_the_coordinator_does(change: str, scheme: str) -> None:
    """It lives while it turns and is ready while it has an answer; over HTTPS where it speaks that."""
    (container,) = render("production", change).pods()["twinkey-coordinator"]["containers"]
    paths = {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}
    for probe, path in paths.items():
        assert container[f"{probe}Probe"]["httpGet"] == {"path": path, "port": "api", "scheme": scheme}


# --- with what -----------------------------------------------------------------------------------------------------


def test_no_node_gets_the_certificate_of_another_ones_agent() -> None:
    """With it a node could write the other one's report."""
    pods = render("production").pods()
    assert secrets_of(pods["twinkey-agent-a"]) == {"twinkey-agent-a"}
    assert secrets_of(pods["twinkey-agent-b"]) == {"host-2-agent"}
    assert secrets_of(pods["twinkey-coordinator"]) == {"callers"} | COORDINATOR_SECRETS


@pytest.mark.parametrize(("values", "name"), PODS, ids=POD_IDS)
def test_files_are_followed_when_they_change(values: str, name: str) -> None:
    """No volume is mounted in part, which would stay as it was when certificates are renewed."""
    (container,) = render(values).pods()[name]["containers"]
    assert not any({"subPath", "subPathExpr"} & set(mount) for mount in container["volumeMounts"])


@pytest.mark.parametrize(("values", "name"), PODS, ids=POD_IDS)
def test_variables_are_settings(values: str, name: str) -> None:
    """Each TWINKEY_ variable is a setting of the daemon that gets it; Services add none."""
    pod = render(values).pods()[name]
    if name.endswith("-test"):
        return
    assert pod["enableServiceLinks"] is False
    (container,) = pod["containers"]
    known = {setting.variable for setting in describe(DAEMONS[container["name"]])}
    given = {each["name"] for each in container["env"]} - {"NODE_NAME", "NODE_ADDRESS"}
    assert given <= known


@pytest.mark.parametrize(
    ("values", "host", "node", "name", "members"),
    [
        ("minimal", "b", B, "b", (A, B)),
        ("production", "host-1.example.com", A, "a", (A, B)),
        ("production", "host-2.example.com", B, "b", (A, B)),
        ("single-node", "host-1", A, "only", (A,)),
    ],
    ids=["minimal-b", "production-a", "production-b", "single"],
)
def test_a_coordinator_is_who_its_node_is(
    tmp_path: Path, values: str, host: str, node: str, name: str, members: tuple[str, ...]
) -> None:
    """It accepts its settings, is the managementNodeUuid of the node it finds itself on, and its files are there."""
    rendered = render(values)
    (deployment,) = rendered.of("Deployment")
    pod = started(rendered, deployment, host)
    settings = settings_of(pod, CoordinatorSettings, tmp_path)
    assert (settings.node, settings.name, settings.members) == (node, name, members)
    assert settings.machine_addresses == ("192.0.2.1", "2001:db8::1")
    assert {str(path) for path in paths_in(settings)} <= set(pod.files)


@pytest.mark.parametrize(
    ("values", "name", "node"),
    [
        ("minimal", "twinkey-agent-a", A),
        ("production", "twinkey-agent-b", B),
        ("single-node", "licence-agent-only", A),
    ],
    ids=SETS,
)
def test_an_agent_is_who_its_node_is(tmp_path: Path, values: str, name: str, node: str) -> None:
    """It accepts its settings, is the managementNodeUuid of the node it is pinned to, and its files are there."""
    pod = started(render(values), name, "never asked for")
    settings = settings_of(pod, AgentSettings, tmp_path)
    assert settings.node == node
    assert {str(path) for path in paths_in(settings)} <= set(pod.files)


def test_values_become_settings(tmp_path: Path) -> None:
    """What is handed on arrives as it was written: lists, numbers with and without a fraction, switches, commas."""
    rendered = render("production")
    agent = settings_of(started(rendered, "twinkey-agent-b", "host-2.example.com"), AgentSettings, tmp_path)
    assert (agent.stick_ids, agent.read_deadline, agent.log_level) == (("0781:5567", "0951:1666"), 7.5, "debug")
    assert (agent.virtual_ip, agent.coordinator) == ("192.0.2.10", "https://192.0.2.1:8441")
    assert agent.etcd.endpoints == ("192.0.2.2:2379", "192.0.2.1:2379", "witness.example.com:2379")
    pod = started(rendered, "twinkey-coordinator", "host-2.example.com")
    coordinator = settings_of(pod, CoordinatorSettings, tmp_path)
    assert (coordinator.node_hold, coordinator.changes_per_minute, coordinator.lease_ttl) == (2592000, 100000, 5)
    assert (coordinator.auto_synchronize, coordinator.sales) == (False, "Acme, Sales")
    assert coordinator.etcd == EtcdSettings(
        endpoints=agent.etcd.endpoints,
        ca=Path("/etc/twinkey/nodes/host-2.example.com/ca.pem"),
        cert=Path("/etc/twinkey/nodes/host-2.example.com/etcd.pem"),
        key=Path("/etc/twinkey/nodes/host-2.example.com/etcd.key"),
    )
    assert pod.files[str(coordinator.etcd.key)] == "host-2-coordinator/etcd.key"
    assert coordinator.host_names == (
        "twinkey-coordinator",
        "twinkey-coordinator.licensing",
        "twinkey-coordinator.licensing.svc",
        "a",
        "host-1.example.com",
        "b",
        "host-2.example.com",
        "licence.example.com",
    )


def test_a_certificate_of_its_own_is_used_by_all(tmp_path: Path) -> None:
    """A Secret that cert-manager made takes the place of http.pem, and its authority is the one that is asked for."""
    rendered = render("single-node")
    pod = started(rendered, "licence-coordinator", "host-1")
    tls = settings_of(pod, CoordinatorSettings, tmp_path).tls
    assert (pod.files[str(tls.cert)], pod.files[str(tls.key)]) == ("certificate/tls.crt", "certificate/tls.key")
    agent = started(rendered, "licence-agent-only", "host-1", "2001:db8::1")
    asked = settings_of(agent, AgentSettings, tmp_path)
    assert agent.files[str(asked.coordinator_ca)] == "certificate/ca.crt"
    assert asked.coordinator == "https://[2001:db8::1]:443"
    assert settings_of(pod, CoordinatorSettings, tmp_path).address == ("::", 9443)


def test_a_trial_needs_no_certificate(tmp_path: Path) -> None:
    """Without TLS to etcd and HTTPS no Secret but that of the tokens is looked for."""
    rendered = render("minimal", "etcd.tls=false", "https.enabled=false")
    pods = rendered.pods()
    assert [secrets_of(pods[name]) for name in sorted(pods)] == [set(), set(), {"twinkey-tokens"}, set()]
    settings = settings_of(started(rendered, "twinkey-coordinator", "a"), CoordinatorSettings, tmp_path)
    assert (settings.etcd.ca, settings.tls) == (None, TlsSettings())


def test_coordinators_start_again_when_they_must() -> None:
    """A change of what they read once at their start changes the pods; another one does not."""

    def mark(*changes: str) -> str:
        deployment = render("minimal", *changes).one("Deployment", "twinkey-coordinator")
        return str(deployment["spec"]["template"]["metadata"]["annotations"]["checksum/settings"])

    marks = {mark(), mark('tokens.json="{}"'), mark('keyring.json="{}"'), mark('etcd.endpoints=["192.0.2.9:2379"]')}
    assert len(marks) == 4
    assert mark("serviceMonitor.enabled=true") == mark()
