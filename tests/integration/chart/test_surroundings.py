"""What is around the pods: Services, who may reach what, evictions, monitoring."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
import yaml
from msgspec import Struct

from tests.integration.chart.helm import CHART, SETS, Manifest, Rendered, render

OPERATORS_GROUP = "monitoring.coreos.com/v1"


# What the Prometheus operator's definitions say of the fields that the chart uses.
class Rule(Struct, forbid_unknown_fields=True, rename={"lasting": "for"}):
    """One rule: of recording or of alerting."""

    expr: str
    record: str | None = None
    alert: str | None = None
    lasting: str | None = None
    keep_firing_for: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Group(Struct, forbid_unknown_fields=True):
    """A group of rules."""

    name: str
    rules: list[Rule]
    interval: str | None = None


class RuleSpec(Struct, forbid_unknown_fields=True):
    """What a PrometheusRule holds."""

    groups: list[Group]


class SecretKey(Struct, forbid_unknown_fields=True):
    """A key in a Secret."""

    name: str
    key: str


class Authority(Struct, forbid_unknown_fields=True):
    """Where a certificate of an authority is."""

    secret: SecretKey


class Tls(Struct, forbid_unknown_fields=True, rename="camel"):
    """How a target's certificate is checked."""

    server_name: str
    ca: Authority


class Relabelling(Struct, forbid_unknown_fields=True, rename="camel"):
    """A label that every target gets."""

    target_label: str
    replacement: str


class Endpoint(Struct, forbid_unknown_fields=True, rename="camel"):
    """What is asked for at each target."""

    port: str
    path: str
    interval: str
    scheme: str
    relabelings: list[Relabelling]
    tls_config: Tls | None = None


class Selector(Struct, forbid_unknown_fields=True, rename="camel"):
    """By which labels Services are found."""

    match_labels: dict[str, str]


class MonitorSpec(Struct, forbid_unknown_fields=True, rename="camel"):
    """What a ServiceMonitor holds."""

    job_label: str
    selector: Selector
    endpoints: list[Endpoint]


def monitor_of(rendered: Rendered) -> MonitorSpec:
    """Return the only ServiceMonitor."""
    (monitor,) = rendered.of("ServiceMonitor").values()
    assert monitor["apiVersion"] == OPERATORS_GROUP
    return msgspec.convert(monitor["spec"], MonitorSpec)


def found_by(labels: dict[str, str], rendered: Rendered, kind: str) -> list[str]:
    """Return the names of the objects of a kind that bear the labels."""
    return [name for name, each in rendered.of(kind).items() if labels.items() <= each["metadata"]["labels"].items()]


@pytest.mark.parametrize("values", SETS)
def test_both_services_lead_to_the_coordinators(values: str) -> None:
    """One address for callers, and one name for the addresses of all; neither leads to agents or to the test."""
    rendered = render(values)
    services = rendered.of("Service")
    assert len(services) == 2
    assert sorted(each["spec"].get("clusterIP", "one") for each in services.values()) == ["None", "one"]
    (deployment,) = rendered.of("Deployment").values()
    pods = deployment["spec"]["template"]["metadata"]["labels"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    for service in services.values():
        assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
        assert service["spec"]["selector"].items() <= pods.items()
        (port,) = service["spec"]["ports"]
        assert [each["name"] for each in container["ports"]] == [port["targetPort"]]
    others = [*rendered.of("DaemonSet").values()]
    labels = [each["spec"]["template"]["metadata"]["labels"] for each in others]
    labels += [each["metadata"]["labels"] for each in rendered.of("Pod").values()]
    assert not any(
        service["spec"]["selector"].items() <= each.items() for service in services.values() for each in labels
    )


def test_coordinators_reach_etcd_and_nothing_else() -> None:
    """Members that have an address are reached there alone; for one that goes by a name, names may be asked for."""
    (policy,) = render("minimal").of("NetworkPolicy").values()
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert policy["spec"]["egress"] == [
        {"to": [{"ipBlock": {"cidr": f"192.0.2.{n}/32"}}], "ports": [{"port": 2379, "protocol": "TCP"}]}
        for n in (1, 2, 3)
    ]
    (policy,) = render("production").of("NetworkPolicy").values()
    assert policy["spec"]["egress"][-1] == {
        "ports": [
            {"port": 2379, "protocol": "TCP"},
            {"port": 53, "protocol": "UDP"},
            {"port": 53, "protocol": "TCP"},
        ]
    }
    sixes = 'etcd.endpoints=["[2001:db8::1]:2379"]'
    (policy,) = render("minimal", sixes).of("NetworkPolicy").values()
    assert policy["spec"]["egress"][0]["to"] == [{"ipBlock": {"cidr": "2001:db8::1/128"}}]


def test_coordinators_are_reached_by_those_who_are_named() -> None:
    """Their own namespace, and what the values add; only at the API's port."""
    own: Manifest = {"podSelector": {}}
    (policy,) = render("minimal").of("NetworkPolicy").values()
    assert policy["spec"]["ingress"] == [{"ports": [{"port": "api", "protocol": "TCP"}], "from": [own]}]
    (policy,) = render("production").of("NetworkPolicy").values()
    ((rule),) = policy["spec"]["ingress"]
    monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    assert rule["from"] == [own, monitoring, {"ipBlock": {"cidr": "192.0.2.0/24"}}]
    assert not render("single-node").of("NetworkPolicy")


def test_one_coordinator_at_a_time_is_evicted() -> None:
    """With two; a single one could otherwise never be evicted."""
    rendered = render("production")
    (budget,) = rendered.of("PodDisruptionBudget").values()
    (deployment,) = rendered.of("Deployment").values()
    assert budget["spec"] == {"maxUnavailable": 1, "selector": deployment["spec"]["selector"]}
    assert not render("single-node").of("PodDisruptionBudget")


def test_prometheus_finds_each_coordinator_once() -> None:
    """One of the Services bears the labels; certificates are checked by a name that all of them have."""
    rendered = render("production")
    spec = monitor_of(rendered)
    assert found_by(spec.selector.match_labels, rendered, "Service") == ["twinkey-coordinator"]
    (endpoint,) = spec.endpoints
    (port,) = rendered.one("Service", "twinkey-coordinator")["spec"]["ports"]
    assert (endpoint.port, endpoint.path, endpoint.scheme) == (port["name"], "/metrics", "https")
    assert endpoint.tls_config == Tls("localhost", Authority(SecretKey("twinkey-coordinator-a", "ca.pem")))
    assert endpoint.relabelings == [Relabelling("site", "acme")]
    own = monitor_of(render("single-node")).endpoints[0].tls_config
    assert own == Tls("licence.example.com", Authority(SecretKey("certificate", "ca.crt")))
    plain = monitor_of(render("production", "https.enabled=false")).endpoints[0]
    assert (plain.scheme, plain.tls_config) == ("http", None)


def test_the_rules_are_those_of_the_file() -> None:
    """A PrometheusRule holds the groups of files/rules.yaml, templates of Prometheus and all."""
    (rule,) = render("production").of("PrometheusRule").values()
    assert rule["apiVersion"] == OPERATORS_GROUP
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    assert rule["spec"] == yaml.safe_load((CHART / "files" / "rules.yaml").read_text(encoding="utf-8"))
    groups = msgspec.convert(rule["spec"], RuleSpec).groups
    assert all((each.alert is None) != (each.record is None) for group in groups for each in group.rules)
    assert any("{{" in text for group in groups for each in group.rules for text in each.annotations.values())


def test_the_dashboard_is_that_of_the_file() -> None:
    """Grafana's sidecar finds it by its label, and it is files/dashboard.json to the letter."""
    shown = render("production").one("ConfigMap", "twinkey-dashboard")
    assert shown["metadata"]["labels"]["grafana_dashboard"] == "1"
    text: Any = shown["data"]["twinkey.json"]
    assert text == (CHART / "files" / "dashboard.json").read_text(encoding="utf-8")
    assert json.loads(text)["panels"]


def test_monitoring_is_left_out_where_nobody_asks_for_it() -> None:
    """A cluster without the Prometheus operator knows none of its kinds."""
    kinds = {each["kind"] for each in render("minimal").objects}
    assert not kinds & {"ServiceMonitor", "PrometheusRule"}
    assert "twinkey-dashboard" not in render("minimal").of("ConfigMap")
