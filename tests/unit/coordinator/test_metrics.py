"""Metrics: what Prometheus reads for a known answer, and that the documentation tells of every one."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer
from msgspec.structs import replace
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
from tests.unit.coordinator.serving import answer, services
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

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
FRESH = Sight(connected=True, leader=ME)
AT_REST = publish(at_rest())
EXPIRES = day("2027-01-01").timestamp()

PROMISED = {
    "twinkey_build_info": {"version"},
    "twinkey_site_info": {"site_id"},
    "twinkey_status_index": set(),
    "twinkey_restricted": set(),
    "twinkey_start_allowed": set(),
    "twinkey_usage_timestamp_seconds": set(),
    "twinkey_certificate_expiration_timestamp_seconds": {"certificate"},
    "twinkey_node_info": {"node", "name", "version"},
    "twinkey_node_reachable": {"node"},
    "twinkey_vip_state": {"state"},
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
        facts = facts_of(view_of(values))
        board.show(answer_from(facts, published_in(values), replace(sight, roles=facts.roles), now, POLICY))
    hands.pass_by(7 * SECOND)
    clock = hands.clock()
    clock.saw(NOW)
    hands.at += leap
    metrics = Metrics(board, lambda: up, clock, lambda: {"http": day("2026-06-01")})
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
            watches_vip=True,
        ),
        KEYS.node(B): stored_report(B, abandoned_readers=3, watches_vip=True),
    }
)
PULLED = publish(RICH | {KEYS.node(A): stored_report(A, vip=True, watches_vip=True)}, NOW + SECOND)
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
    assert of(samples, "usage_timestamp_seconds") == {"": NOW.timestamp()}
    assert (of(samples, "restricted"), of(samples, "start_allowed")) == ({"": 1}, {"": 0})
    assert of(samples, "certificate_expiration_timestamp_seconds") == {"http": day("2026-06-01").timestamp()}
    assert of(samples, "status_index") == {"": published_in(RICH).index}
    assert of(samples, "node_ukeys") == of(samples, "node_copyable_ukeys") == {A: 1, B: 0}
    assert of(samples, "node_abandoned_readers") == {A: 0, B: 3}
    assert of(samples, "node_report_timestamp_seconds") == {A: NOW.timestamp(), B: NOW.timestamp()}
    assert of(samples, "vip_holder") == {A: 1, B: 0}
    assert of(samples, "vip_state") == {"held": 1, "nobody": 0, "conflict": 0}
    assert of(samples, "node_drained") == {A: 0, B: 0}
    assert of(samples, "node_reachable") == {A: 1, B: 1}
    assert of(samples, "leader") == {A: 1, B: 0}
    assert of(samples, "ukey_state") == {state.value: float(state is KeyState.READY) for state in KeyState}
    holding = {Alert.SERVICE_EXPIRING, Alert.QUOTA_EXCEEDED}
    assert of(samples, "alert") == {alert.value: float(alert in holding) for alert in Alert}
    assert of(samples, "status_age_seconds") == of(samples, "clock_rollback") == {"": 0}
    assert of(samples, "store_up") == {"": 1}


async def test_nodes_have_names_and_versions() -> None:
    """Whoever looks at figures of nodes can tell which is which."""
    samples = await scrape(publish(at_rest() | {KEYS.node(B): stored_report(B, name="second", version="9.1")}))
    nodes = {dict(labels)["node"]: dict(labels) for name, labels in samples if name == "twinkey_node_info"}
    assert (nodes[B]["name"], nodes[B]["version"]) == ("second", "9.1")
    assert set(nodes) == {A, B}


async def test_a_node_that_does_not_report_is_told_apart() -> None:
    """Its keys are shown as they were, and that nobody can look at them."""
    values = publish(at_rest())
    del values[KEYS.node(B)]
    samples = await scrape(publish(values, NOW + SECOND))
    assert of(samples, "node_reachable") == {A: 1, B: 0}


async def test_a_site_without_a_virtual_ip_has_no_state_of_it() -> None:
    """Nobody is told that no node holds an address that does not exist."""
    assert of(await scrape(AT_REST), "vip_state") == {}


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


def documented() -> dict[str, set[str]]:
    """Return the labels of each metric as the tables of the page tell them."""
    rows = re.findall(r"^\| `(twinkey_\w+)` \|([^|]*)\| \S", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}


async def test_every_metric_is_documented_and_nothing_else() -> None:
    """The page has a row for each metric with its labels, and none for one that does not exist."""
    told: dict[str, set[str]] = {}
    for name, labels in await scrape(BUFFERED):
        if name.startswith("twinkey_") and not name.endswith(("_bucket", "_sum")):
            told[name.removesuffix("_count")] = {label for label, _ in labels}
    assert documented() == told


async def test_a_strange_report_does_not_break_the_scrape() -> None:
    """Whatever a node said of itself, the exposition can be parsed."""
    report = stored_report(A, good_key(), name='"\n\\', written_at=day("0001-01-01"))
    samples = await scrape(publish(at_rest() | {KEYS.node(A): report}))
    assert of(samples, "node_report_timestamp_seconds")[A] == EARLIEST.timestamp()


async def test_a_later_scrape_tells_what_has_changed() -> None:
    """The figures of an answer are those of the newest one, and its age grows although the answer stays."""
    hands = Hands()
    board = Board(hands.boot)
    metrics = Metrics(board, lambda: True, hands.clock())

    def told() -> tuple[float, float] | None:
        values = {
            sample.name: sample.value
            for family in text_string_to_metric_families(metrics.written().decode())
            for sample in family.samples
        }
        index, age = values.get("twinkey_status_index"), values.get("twinkey_status_age_seconds")
        return None if index is None or age is None else (index, age)

    assert told() is None
    board.show(answer(PULLED))
    assert told() == (published_in(PULLED).index, 0)
    board.show(answer(RICH, connected=False))
    assert told() == (published_in(RICH).index, 0)
    hands.pass_by(3 * SECOND)
    assert told() == (published_in(RICH).index, 3)
