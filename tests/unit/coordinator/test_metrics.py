"""Metrics: what Prometheus reads for a known answer."""

from __future__ import annotations

import datetime as dt

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from cluster.report import ReportedKey
from cluster.values import encode_value
from coordinator.board import Board, Sight, answer_from
from coordinator.http import build_app
from coordinator.metrics import Metrics
from coordinator.tokens import TokenFile
from licensing.ledger import KeyState, Usage
from licensing.licence import Edition, Quota
from licensing.seen import Reading
from licensing.status import Alert
from licensing.value import EARLIEST, Time
from tests.unit.coordinator.serving import services
from tests.unit.coordinator.stored import (
    DAY,
    KEYS,
    ME,
    NOW,
    POLICY,
    SECOND,
    A,
    B,
    Hands,
    at_rest,
    facts_of,
    good_key,
    publish,
    published_in,
    sealed,
    stored_report,
    view_of,
)
from tests.unit.licensing.signing import day

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]

FRESH = Sight(connected=True, leader=ME)
AT_REST = publish(at_rest())
EXPIRES = day("2027-01-01").timestamp()

PROMISED = {
    "twinkey_license_info": {"edition", "source", "quota_type"},
    "twinkey_license_valid": set(),
    "twinkey_license_expiration_timestamp_seconds": set(),
    "twinkey_service_expiration_timestamp_seconds": set(),
    "twinkey_buffer_expiration_timestamp_seconds": set(),
    "twinkey_quota": {"unit"},
    "twinkey_usage": {"unit"},
    "twinkey_ukey_state": {"state"},
    "twinkey_node_ukeys": {"node"},
    "twinkey_node_copyable_ukeys": {"node"},
    "twinkey_node_abandoned_readers": {"node"},
    "twinkey_node_report_timestamp_seconds": {"node"},
    "twinkey_vip_holder": {"node"},
    "twinkey_node_drained": {"node"},
    "twinkey_leader": {"node"},
    "twinkey_leader_changes_total": set(),
    "twinkey_status_age_seconds": set(),
    "twinkey_store_up": set(),
    "twinkey_clock_rollback": set(),
    "twinkey_clock_quarantined": set(),
    "twinkey_authorize_total": {"result"},
    "twinkey_uploads_total": {"result"},
    "twinkey_alert": {"alert"},
    "process_cpu_seconds_total": set(),
    "twinkey_http_request_duration_seconds_bucket": {"method", "route", "status", "le"},
}
"""What dashboards and alert rules rely on, with its labels."""


async def scrape(
    values: dict[str, bytes] | None,
    sight: Sight = FRESH,
    now: Time = NOW,
    *,
    up: bool = True,
    leap: dt.timedelta = 0 * SECOND,
) -> Samples:
    """Return every sample that a node which shows this answer exposes, as Prometheus reads it.

    `leap`: how far its wall clock was put forward.
    """
    hands = Hands()
    board = Board(hands.boot)
    if values is not None:
        board.show(answer_from(facts_of(view_of(values)), published_in(values), sight, now, POLICY))
    hands.pass_by(7 * SECOND)
    clock = hands.clock()
    clock.saw(NOW)
    hands.at += leap
    metrics = Metrics(board, lambda: up, clock)
    app = build_app(services(board, clock), TokenFile(()), lambda: True, metrics)
    async with TestClient(TestServer(app)) as client:
        await client.get("/livez")
        response = await client.get("/metrics")
        assert response.content_type == "text/plain"
        text = await response.text()
    families = list(text_string_to_metric_families(text))
    assert all(family.documentation for family in families)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def of(samples: Samples, name: str) -> dict[str, float]:
    """Return the samples of a metric with one label or none, by the label's value."""
    return {
        labels[0][1] if labels else "": value for (each, labels), value in samples.items() if each == f"twinkey_{name}"
    }


RICH = publish(
    at_rest(usage=encode_value(Usage(NOW, hosts=12, cpu_cores=64, vms=3)))
    | {
        KEYS.node(A): stored_report(
            A,
            ReportedKey(
                "K1",
                Reading.OK,
                licence_file=sealed(quota=Quota(hosts=10, cpu_cores=64), service_expires=day("2026-03-10")),
            ),
            vip=True,
        ),
        KEYS.node(B): stored_report(B, abandoned_readers=3),
    }
)
PULLED = publish(RICH | {KEYS.node(A): stored_report(A)}, NOW + SECOND)
BUFFERED = publish(PULLED, NOW + DAY)


async def test_every_promised_metric_is_there_with_its_labels() -> None:
    """Dashboards and alert rules find what they ask for."""
    samples = await scrape(BUFFERED)
    found = {name: {label for label, _ in labels} for name, labels in samples}
    assert {name: found.get(name) for name in PROMISED} == PROMISED


async def test_a_known_answer_gives_known_figures() -> None:
    """Each gauge says in figures what the answer says in words."""
    samples = await scrape(RICH)
    info = {labels: value for (name, labels), value in samples.items() if name == "twinkey_license_info"}
    assert info == {(("edition", "basic-paid"), ("quota_type", "hosts+cpuCores"), ("source", "usb-key")): 1}
    assert of(samples, "license_valid") == {"": 1}
    assert of(samples, "license_expiration_timestamp_seconds") == {"": EXPIRES}
    assert of(samples, "service_expiration_timestamp_seconds") == {"": day("2026-03-10").timestamp()}
    assert of(samples, "buffer_expiration_timestamp_seconds") == {}
    assert of(samples, "quota") == {"hosts": 10, "cpuCores": 64}
    assert of(samples, "usage") == {"hosts": 12, "cpuCores": 64}
    assert of(samples, "node_ukeys") == of(samples, "node_copyable_ukeys") == {A: 1, B: 0}
    assert of(samples, "node_abandoned_readers") == {A: 0, B: 3}
    assert of(samples, "node_report_timestamp_seconds") == {A: NOW.timestamp(), B: NOW.timestamp()}
    assert of(samples, "vip_holder") == {A: 1, B: 0}
    assert of(samples, "node_drained") == {A: 0, B: 0}
    assert of(samples, "leader") == {A: 1, B: 0}
    assert of(samples, "ukey_state") == {state.value: float(state is KeyState.READY) for state in KeyState}
    holding = {Alert.SERVICE_EXPIRING, Alert.QUOTA_EXCEEDED}
    assert of(samples, "alert") == {alert.value: float(alert in holding) for alert in Alert}
    assert of(samples, "status_age_seconds") == of(samples, "clock_rollback") == {"": 0}
    assert of(samples, "store_up") == {"": 1}


async def test_a_buffer_has_its_end() -> None:
    """A buffer that stands in shows when it ends, and the state that it stands in for."""
    samples = await scrape(BUFFERED)
    assert of(samples, "buffer_expiration_timestamp_seconds") == {"": (NOW + SECOND + 30 * DAY).timestamp()}
    assert of(samples, "ukey_state")["Missing"] == 1
    assert of(samples, "license_valid") == {"": 1}


async def test_in_the_dark_the_figures_say_so() -> None:
    """Without etcd: no leader, an age, and an expired licence once its end has come."""
    samples = await scrape(AT_REST, Sight(connected=False, leader=None), day("2027-01-01"), up=False, leap=-DAY)
    assert of(samples, "leader") == {A: 0, B: 0}
    assert of(samples, "status_age_seconds") == {"": 7}
    assert (of(samples, "store_up"), of(samples, "clock_rollback")) == ({"": 0}, {"": 1})
    assert of(samples, "license_valid") == {"": 0}
    assert of(samples, "alert")["expired"] == 1


async def test_a_clock_far_ahead_is_told_apart_from_one_that_was_set_back() -> None:
    """Each of the two gauges is 1 for its own trouble alone."""
    ahead, behind = await scrape(AT_REST, leap=DAY), await scrape(AT_REST, leap=-DAY)
    assert (of(ahead, "clock_quarantined"), of(ahead, "clock_rollback")) == ({"": 1}, {"": 0})
    assert (of(behind, "clock_quarantined"), of(behind, "clock_rollback")) == ({"": 0}, {"": 1})


async def test_without_an_answer_there_are_only_the_nodes_own_figures() -> None:
    """A node that knows nothing claims nothing about the licence."""
    samples = await scrape(None)
    assert of(samples, "store_up") == {"": 1}
    assert not [name for name, _ in samples if name.startswith(("twinkey_license", "twinkey_alert", "twinkey_status"))]


@pytest.mark.parametrize(
    ("quota", "quota_type"), [(Quota(), "unlimited"), (Quota(cpu_sockets=4), "cpuSockets")], ids=["none", "one"]
)
async def test_the_quota_type_names_the_units(quota: Quota, quota_type: str) -> None:
    """A licence without a limit says so, one with a limit names its units."""
    file = sealed(quota=quota, edition=Edition.BASIC_TRIAL)
    values = publish(at_rest() | {KEYS.node(A): stored_report(A, ReportedKey("K1", Reading.OK, licence_file=file))})
    samples = await scrape(values)
    (labels,) = (dict(labels) for name, labels in samples if name == "twinkey_license_info")
    assert labels == {"edition": "basic-trial", "source": "usb-key", "quota_type": quota_type}


async def test_a_strange_report_does_not_break_the_scrape() -> None:
    """Whatever a node said of itself, the exposition can be parsed."""
    report = stored_report(A, good_key(), name='"\n\\', written_at=day("0001-01-01"))
    samples = await scrape(publish(at_rest() | {KEYS.node(A): report}))
    assert of(samples, "node_report_timestamp_seconds")[A] == EARLIEST.timestamp()
