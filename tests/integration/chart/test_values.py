"""Values: each is documented, a wrong one is refused with a sentence, settings that are handed on are the real ones."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import pytest
import yaml

from agent.settings import AgentSettings
from cluster.settings import Settings, describe
from coordinator.settings import CoordinatorSettings
from tests.integration.chart.helm import (
    CHART,
    NAMESPACE,
    RELEASE,
    SETS,
    VALUES,
    VERSIONS,
    HelmError,
    helm,
    render,
    rendered_text,
)

SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))["properties"]
DAEMONS: dict[str, type[Settings]] = {"agent": AgentSettings, "coordinator": CoordinatorSettings}
NOT_OFFERED = {
    "agent": {"virtual_ip_file"},  # for demo and tests
    "coordinator": {"socket"},  # within the pod, where nothing else is
}
NOT_FOR_CERTIFICATES = {"etcd.user", "etcd.password_file"}
"""The chart lets nodes in with certificates, not with passwords."""


def flat(values: dict[str, Any], above: str = "") -> Iterator[str]:
    """Return the paths of all values that somebody can set."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{above}{name}.")
        else:
            yield above + name


DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
README = (CHART / "README.md").read_text(encoding="utf-8")
WHOLE = ("agent.resources", "coordinator.resources", "nodeSelector", "dashboard.labels")
"""Values that are a map as a whole."""
PATHS = sorted({next((whole for whole in WHOLE if path.startswith(f"{whole}.")), path) for path in flat(DEFAULTS)})
NODE = [f"nodes[].{name}" for name in SCHEMA["nodes"]["items"]["properties"]]


@pytest.mark.parametrize("path", [*PATHS, *NODE])
def test_every_value_is_documented(path: str) -> None:
    """The table of the README has a row that begins with it."""
    assert f"\n| `{path}` |" in README


def test_nothing_is_documented_that_does_not_exist() -> None:
    """A value that is gone is gone from the README too."""
    documented = re.findall(r"^\| `([A-Za-z.\[\]]+)` \|", README, re.MULTILINE)
    assert sorted(documented) == sorted([*PATHS, *NODE])


def test_the_schema_knows_the_values_and_no_others() -> None:
    """Each table of the values has the same members in the schema; Helm itself adds `global`."""
    assert set(DEFAULTS) == set(SCHEMA) - {"global"}
    for name, value in DEFAULTS.items():
        if "properties" in SCHEMA[name]:
            assert set(value) == set(SCHEMA[name]["properties"]), name


# --- settings that are handed on -----------------------------------------------------------------------------------


@pytest.mark.parametrize("daemon", DAEMONS)
def test_every_setting_can_be_set(daemon: str) -> None:
    """A setting is handed on, or the chart sets it itself from other values, in one of the value sets."""
    pods = [pod for values in SETS for name, pod in render(values).pods().items() if daemon in name]
    variables = {each["name"] for pod in pods for each in pod["containers"][0]["env"]}
    in_files = {"etcd.endpoints", "node", "name"} if daemon == "coordinator" else set()
    handed_on = set(SCHEMA[daemon]["properties"]["settings"]["properties"])
    left_out = {
        setting.name
        for setting in describe(DAEMONS[daemon])
        if setting.variable not in variables and setting.name not in handed_on | in_files
    }
    assert left_out == NOT_OFFERED[daemon] | NOT_FOR_CERTIFICATES


HANDED_ON = [(daemon, name) for daemon in DAEMONS for name in SCHEMA[daemon]["properties"]["settings"]["properties"]]


@pytest.mark.parametrize(("daemon", "name"), HANDED_ON, ids=["-".join(each) for each in HANDED_ON])
def test_a_setting_that_is_handed_on_has_the_daemons_own_limits(daemon: str, name: str) -> None:
    """What the daemon would refuse is refused before anything is installed, and nothing else."""
    fields = {field.name: field for field in msgspec.structs.fields(DAEMONS[daemon])}
    declared = msgspec.json.schema(fields[name].type)
    for word in ("description", "examples"):
        declared.pop(word, None)
    assert SCHEMA[daemon]["properties"]["settings"]["properties"][name] == declared


# --- refusals ------------------------------------------------------------------------------------------------------


class Bad(NamedTuple):
    """A change of a value set, and what must be said of it by either helm."""

    name: str
    change: str
    said: str
    values: str = "production"


UUID = "5a5b9f0e-8f0e-4c56-9f3c-0d6a3b3f3a01"
BAD = (
    Bad("no-site", 'site={"id": ""}', "site.id is missing: set it to the id"),
    Bad("bad-site", 'site={"id": "a/b"}', 'site.id "a/b" is not one: it is up to 128 letters'),
    Bad("no-node", "nodes=[]", "nodes is empty: name the one or two management nodes"),
    Bad("three-nodes", f"nodes={json.dumps([{'name': n, 'uuid': UUID} for n in 'abc'])}", "nodes.*(at most|maxItems)"),
    Bad("no-uuid", 'nodes=[{"name": "a"}]', "nodes.*uuid"),
    Bad("upper-case", f'nodes=[{{"name": "a", "uuid": "{UUID.upper()}"}}]', "of node a is not one: copy `node`"),
    Bad("same-uuid", f"nodes={json.dumps([{'name': n, 'uuid': UUID} for n in 'ab'])}", "two have the same uuid 5a5b"),
    Bad(
        "same-host",
        f"nodes={json.dumps([{'name': n, 'uuid': UUID[:-1] + n, 'kubernetesNode': 'h'} for n in 'ab'])}",
        "two have the same kubernetesNode h, but they are two machines",
    ),
    Bad("typo", 'site={"vitrualIp": "192.0.2.1"}', "vitrualIp.*not allowed"),
    Bad("no-etcd", 'etcd={"endpoints": []}', "etcd.endpoints is empty: list the members"),
    Bad("bad-etcd", 'etcd={"endpoints": ["https://a:2379"]}', "is no member: write host:port, without https://"),
    Bad("no-keyring", 'keyring.configMap=""', r"keyring: give either json \(--set-file"),
    Bad("two-keyrings", 'keyring={"json": "{}", "configMap": "vendor"}', "keyring: give either json"),
    Bad("no-tokens", 'tokens.secret=""', r"tokens: give either json \(--set-file"),
    Bad("no-table", "tokens=null", "tokens.*required|missing.*tokens"),
    Bad("latest", 'image={"tag": "latest"}', "latest is another image tomorrow: name a version"),
    Bad("bad-digest", 'image={"digest": "sha256:12"}', r"image[./]digest.*match pattern"),
    Bad("root", "user=0", r"user.*(greater than or equal to 1|minimum)"),
    Bad("no-group", "agent.usbGroup=null", "agent.usbGroup is missing: set it to the number of the group"),
    Bad("no-access", 'agent.runtimeClassName=""', "agent: set either runtimeClassName, .* or privileged: true"),
    Bad("both", "agent.privileged=true", "agent: set either runtimeClassName"),
    Bad("bus", 'agent.bus="pci"', r"agent[./]bus.*match pattern"),
    Bad("relative", 'agent.stateFolder="var"', r"agent[./]stateFolder.*match pattern"),
    Bad("no-vip", 'site.virtualIp=""', "agent.trackFolder is about the virtual IP: set site.virtualIp"),
    Bad("no-port", "coordinator.hostPort=null", "agent.trackFolder needs coordinator.hostPort"),
    Bad("port", "coordinator.port=70000", r"coordinator[./]port.*65,?535"),
    Bad("setting", 'agent.settings={"virtual_ip": "192.0.2.9"}', "virtual_ip.*not allowed"),
    Bad("lease", 'coordinator.settings={"lease_ttl": 1}', r"coordinator[./]settings[./]lease_ttl"),
    Bad("level", 'coordinator.settings={"log_level": "trace"}', r"coordinator[./]settings[./]log_level"),
    Bad("certificate", "https.enabled=false", "https.secret is of no use while https.enabled is false", "single-node"),
)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("bad", BAD, ids=[bad.name for bad in BAD])
def test_a_wrong_value_is_refused(bad: Bad, version: str) -> None:
    """Helm makes nothing of it, and says where the mistake is."""
    with pytest.raises(HelmError) as refused:
        rendered_text(version, bad.values, bad.change)
    assert re.search(bad.said, str(refused.value)), refused.value


def test_nothing_is_installed_without_values() -> None:
    """The defaults alone are no site, and the first sentence says what is missing."""
    with pytest.raises(HelmError, match=r"site\.id is missing"):
        helm("3", "template", CHART)


# --- what is said after an installation ----------------------------------------------------------------------------


def notes(values: str, *changes: str) -> str:
    """Return what helm prints when the chart has been installed; helm 3 would want a cluster to tell it."""
    more = [argument for change in changes for argument in ("--set-json", change)]
    file = VALUES / f"{values}.yaml"
    said = helm("4", "install", RELEASE, CHART, "--dry-run=client", "--namespace", NAMESPACE, "--values", file, *more)
    return said.partition("\nNOTES:\n")[2]


def test_what_is_risky_is_said() -> None:
    """A privileged agent, an etcd that anybody can write to, and one that cannot lose a member; else nothing."""
    assert "WARNING" not in notes("production")
    assert "answers at https://twinkey-coordinator.licensing:8441, outside at port 8441 of each" in notes("production")
    assert "agents may open every device" in notes("single-node")
    few = 'etcd={"endpoints": ["192.0.2.1:2379", "192.0.2.2:2379"], "tls": false}'
    assert "add a witness" in notes("minimal", few)
    assert "etcd.tls is off" in notes("minimal", few)
