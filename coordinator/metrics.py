"""What Prometheus may ask: the board's answer as gauges at the time of the scrape, and the usual process figures.

Every metric is described in `docs/metrics.md`; the alert rules and the dashboard are made of nothing else.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, get_args

from aiohttp import web
from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from cluster.software import software_version
from coordinator.board import Board, StatusBody
from coordinator.clock import EffectiveClock
from coordinator.roles import VipState
from licensing.ledger import KeyState
from licensing.quota import UNITS
from licensing.status import Alert, Validity

disable_created_metrics()  # type: ignore[no-untyped-call]  # one more figure beside every counter, which nobody asks for

Uploaded = Literal["accepted", "waiting", "refused", "failed"]
"""`waiting` was accepted too, with its outcome not known in time; `failed` had nothing wrong with it."""
_RESULTS = {True: "allowed", False: "refused"}
UNIT_LABELS = {"hosts": "hosts", "cpu_sockets": "cpuSockets", "cpu_cores": "cpuCores"}
Ends = Callable[[], Mapping[str, dt.datetime]]
"""When certificates end, by what they are for."""


class Metrics:
    """The coordinator's registry. `store_up`, `clock` and `ends` are asked at every scrape."""

    def __init__(self, board: Board, store_up: Callable[[], bool], clock: EffectiveClock, ends: Ends = dict) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self.leader_changes = Counter(
            "twinkey_leader_changes", "Changes of the leader seen by this node.", registry=self.registry
        )
        self._requests = Histogram(
            "twinkey_http_request_duration_seconds",
            "Seconds from a request to its answer.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._authorise = Counter(
            "twinkey_authorize", "Operations that the platform asked about.", ("result",), registry=self.registry
        )
        for result in _RESULTS.values():
            self._authorise.labels(result)
        self._uploads = Counter("twinkey_uploads", "Uploads of licences.", ("result",), registry=self.registry)
        for uploaded in get_args(Uploaded):
            self._uploads.labels(uploaded)
        self.registry.register(_OwnCollector(store_up, clock, ends))
        self.registry.register(_BoardCollector(board))

    def saw_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._requests.labels(method, route, str(status)).observe(seconds)

    def authorised(self, *, allowed: bool) -> None:
        """Count one answer to the platform's question whether it may do something."""
        self._authorise.labels(_RESULTS[allowed]).inc()

    def saw_upload(self, result: Uploaded) -> None:
        """Count one upload by what became of it."""
        self._uploads.labels(result).inc()


METRICS = web.AppKey("metrics", Metrics)


async def serve(request: web.Request) -> web.Response:
    """`GET /metrics`."""
    return web.Response(
        body=generate_latest(request.app[METRICS].registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
    )


class _OwnCollector(Collector):
    """What a coordinator knows of itself, also where it has no answer."""

    def __init__(self, store_up: Callable[[], bool], clock: EffectiveClock, ends: Ends) -> None:
        self._store_up = store_up
        self._clock = clock
        self._ends = ends

    def collect(self) -> Iterator[Metric]:
        yield _labelled("build_info", "The version that this node runs; always 1.", "version", {software_version(): 1})
        yield _gauge("store_up", "Whether this node reaches etcd.", self._store_up())
        yield _gauge("clock_rollback", "Whether this node's wall clock was set back.", self._clock.set_back)
        yield _gauge(
            "clock_quarantined",
            "Whether this node's wall clock is so far ahead that it is not believed.",
            self._clock.quarantined,
        )
        yield _labelled(
            "certificate_expiration_timestamp_seconds",
            "When a certificate of this node ends, in seconds since 1970.",
            "certificate",
            {name: end.timestamp() for name, end in self._ends().items()},
        )


class _BoardCollector(Collector):
    """What the board's answer says; nothing where there is none."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        answer = self._board.answer
        if answer is None:
            return
        yield _gauge(
            "status_age_seconds",
            "Seconds since this node's answer was last known to be the newest; 0 as long as it is.",
            self._board.age,
        )
        yield from _answer(answer.status)
        yield from _licence(answer.status)
        yield from _amounts(answer.status)
        yield from _nodes(answer.status)


def _answer(status: StatusBody) -> Iterator[Metric]:
    yield _labelled("site_info", "The site; always 1.", "site_id", {status.site_id: 1})
    yield _gauge("status_index", "The number of the answer that this node shows; it only rises.", status.index)
    yield _gauge("restricted", "Whether most operations of the platform are refused.", status.restricted)
    yield _gauge("start_allowed", "Whether a management node that was shut down may start.", status.start_allowed)
    states = {state.value: state is status.key_state for state in KeyState}
    yield _labelled("ukey_state", "The state of the site's USB key: 1 for the one it is in.", "state", states)
    alerts = {alert.value: alert in status.alerts for alert in Alert}
    yield _labelled("alert", "Whether an alert holds.", "alert", alerts)


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
    yield _gauge("license_valid", "Whether the licence can be used.", licence.status is Validity.VALID)
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
            yield _gauge(f"{name}_expiration_timestamp_seconds", text, at.timestamp())


def _amounts(status: StatusBody) -> Iterator[Metric]:
    for name, text, amounts in (
        ("quota", "What the licence covers, by unit.", status.quota),
        ("usage", "What the platform last reported to use, by unit.", status.usage),
    ):
        values = {UNIT_LABELS[unit]: getattr(amounts, unit, None) for unit in UNITS}
        yield _labelled(name, text, "unit", {unit: value for unit, value in values.items() if value is not None})
    if status.usage is not None:
        yield _gauge(
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
    yield _labelled("node_reachable", "Whether a node reports; if not, its last report is held.", "node", reachable)
    yield _labelled("node_ukeys", "USB keys in a node.", "node", {n: len(node.ukeys) for n, node in by_node.items()})
    copyable = {n: sum(key.assurance == "copyable" for key in node.ukeys) for n, node in by_node.items()}
    yield _labelled("node_copyable_ukeys", "USB keys in a node that can be copied whole.", "node", copyable)
    abandoned = {n: node.abandoned_readers for n, node in by_node.items()}
    yield _labelled("node_abandoned_readers", "Processes reading a USB key that could not be ended.", "node", abandoned)
    yield _labelled(
        "vip_holder", "Whether a node holds the virtual IP.", "node", {n: v.vip for n, v in by_node.items()}
    )
    if status.vip_state is not None:
        states = {state: state == status.vip_state for state in get_args(VipState)}
        yield _labelled("vip_state", "Who holds the virtual IP: 1 for what is the case.", "state", states)
    drained = {n: v.drained for n, v in by_node.items()}
    yield _labelled("node_drained", "Whether a node has handed its roles over to be serviced.", "node", drained)
    yield _labelled("leader", "Whether a node's coordinator leads.", "node", {n: n == leader for n in by_node})
    reported = {n: v.reported_at.timestamp() for n, v in by_node.items() if v.reported_at is not None}
    yield _labelled(
        "node_report_timestamp_seconds",
        "When a node wrote its last report, which it does when something changes, in seconds since 1970.",
        "node",
        reported,
    )


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"twinkey_{name}", text, value=float(value))


def _labelled(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"twinkey_{name}", text, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), float(value))
    return family
