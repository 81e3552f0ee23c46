"""What an answer says, as gauges for Prometheus; they change only when the answer does.

Every metric is described in `docs/metrics.md`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import get_args

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from coordinator.board import StatusBody
from coordinator.roles import VipState
from licensing.ledger import KeyState
from licensing.quota import UNITS
from licensing.status import Alert, Validity

UNIT_LABELS = {"hosts": "hosts", "cpu_sockets": "cpuSockets", "cpu_cores": "cpuCores"}


class AnswerFigures(Collector):
    """The gauges of one status."""

    def __init__(self, status: StatusBody) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """Tell them."""
        for figures in (_answer, _licence, _amounts, _nodes):
            yield from figures(self._status)


def _answer(status: StatusBody) -> Iterator[Metric]:
    yield labelled("site_info", "The site; always 1.", "site_id", {status.site_id: 1})
    yield gauge("status_index", "The number of the answer that this node shows; it only rises.", status.index)
    yield gauge("restricted", "Whether most operations of the platform are refused.", status.restricted)
    yield gauge("start_allowed", "Whether a management node that was shut down may start.", status.start_allowed)
    states = {state.value: state is status.key_state for state in KeyState}
    yield labelled("ukey_state", "The state of the site's USB key: 1 for the one it is in.", "state", states)
    alerts = {alert.value: alert in status.alerts for alert in Alert}
    yield labelled("alert", "Whether an alert holds.", "alert", alerts)


def _licence(status: StatusBody) -> Iterator[Metric]:
    licence = status.license
    info = GaugeMetricFamily(
        "twinkey_license_info", "The licence in force; always 1.", labels=("edition", "source", "quota_type")
    )
    if licence.edition is not None:
        units = [
            label for unit, label in UNIT_LABELS.items() if status.quota and getattr(status.quota, unit) is not None
        ]
        info.add_metric((licence.edition.value, licence.source or "", "+".join(units) or "unlimited"), 1)
    yield info
    yield gauge("license_valid", "Whether the licence can be used.", licence.status is Validity.VALID)
    for name, text, at in (
        ("license", "When the licence expires, in seconds since 1970.", licence.expires),
        ("service", "When the after-sales service ends, in seconds since 1970.", licence.service_expires),
        (
            "buffer",
            "When the buffer licence ends or has ended, in seconds since 1970.",
            status.buffer.expires if status.buffer else None,
        ),
    ):
        if at is not None:
            yield gauge(f"{name}_expiration_timestamp_seconds", text, at.timestamp())


def _amounts(status: StatusBody) -> Iterator[Metric]:
    for name, text, amounts in (
        ("quota", "What the licence covers, by unit.", status.quota),
        ("usage", "What the platform last reported to use, by unit.", status.usage),
    ):
        values = {UNIT_LABELS[unit]: getattr(amounts, unit, None) for unit in UNITS}
        yield labelled(name, text, "unit", {unit: value for unit, value in values.items() if value is not None})
    if status.usage is not None:
        yield gauge(
            "usage_timestamp_seconds",
            "When the platform last reported what it uses, in seconds since 1970.",
            status.usage.reported_at.timestamp(),
        )


def _nodes(status: StatusBody) -> Iterator[Metric]:
    leader = status.leader.management_node_uuid if status.leader else None
    by_node = {node.management_node_uuid: node for node in status.nodes}
    info = GaugeMetricFamily(
        "twinkey_node_info", "What a node is called, and its version; always 1.", labels=("node", "name", "version")
    )
    for uuid, node in by_node.items():
        info.add_metric((uuid, node.name, node.version), 1)
    yield info
    reachable = {n: node.reachable for n, node in by_node.items()}
    yield labelled("node_reachable", "Whether a node reports; if not, its last report is held.", "node", reachable)
    yield labelled("node_ukeys", "USB keys in a node.", "node", {n: len(node.ukeys) for n, node in by_node.items()})
    copyable = {n: sum(key.assurance == "copyable" for key in node.ukeys) for n, node in by_node.items()}
    yield labelled("node_copyable_ukeys", "USB keys in a node that can be copied whole.", "node", copyable)
    abandoned = {n: node.abandoned_readers for n, node in by_node.items()}
    yield labelled("node_abandoned_readers", "Processes reading a USB key that could not be ended.", "node", abandoned)
    yield labelled("vip_holder", "Whether a node holds the virtual IP.", "node", {n: v.vip for n, v in by_node.items()})
    if status.vip_state is not None:
        states = {state: state == status.vip_state for state in get_args(VipState)}
        yield labelled("vip_state", "Who holds the virtual IP: 1 for what is the case.", "state", states)
    drained = {n: v.drained for n, v in by_node.items()}
    yield labelled("node_drained", "Whether a node has handed its roles over to be serviced.", "node", drained)
    yield labelled("leader", "Whether a node's coordinator leads.", "node", {n: n == leader for n in by_node})
    reported = {n: v.reported_at.timestamp() for n, v in by_node.items() if v.reported_at is not None}
    yield labelled(
        "node_report_timestamp_seconds",
        "When a node wrote its last report, which it does when something changes, in seconds since 1970.",
        "node",
        reported,
    )


def gauge(name: str, text: str, value: float) -> Metric:
    """Return a gauge with one value."""
    return GaugeMetricFamily(f"twinkey_{name}", text, value=float(value))


def labelled(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """Return a gauge with a value for each value of one label."""
    family = GaugeMetricFamily(f"twinkey_{name}", text, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), float(value))
    return family
