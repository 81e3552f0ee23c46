"""A real Prometheus scrapes the coordinators of a real site: it takes their figures, and finds what it is asked for."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from signal import SIGTERM
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from cluster.local_etcd import LOOPBACK
from licensing.envelope import seal
from licensing.keyring import key_id
from licensing.licence import KeyBinding, Quota
from tests.certificates import Authority
from tests.integration.monitoring.dashboard_file import DASHBOARD, QUESTIONS, Question
from tests.integration.monitoring.prometheus_server import PrometheusServer
from tests.integration.monitoring.rule_file import ALERTS, FILE, RULES
from tests.licences import good_licence
from tests.site import LiveSite
from tests.waiting import eventually_sync
from usbwatch.simulated import SimulatedKey

JOB, SITE = "twinkey", "acme"
DAYS_LEFT = 10
SEEN = 15.0
"""Seconds within which a Prometheus of these tests has certainly seen and evaluated what is the case."""


class Watched(NamedTuple):
    """A site and the Prometheus that scrapes it; node b's coordinator speaks HTTPS."""

    site: LiveSite
    prometheus: PrometheusServer


def key_with_service(vendor: Ed25519PrivateKey, name: str) -> SimulatedKey:
    """Return a key whose licence ends soon, has limits and an after-sales service."""
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    licence = good_licence(
        name,
        KeyBinding(key_id=name),
        now,
        dt.timedelta(days=DAYS_LEFT),
        quota=Quota(hosts=10, cpu_cores=64),
        service_expires=now + dt.timedelta(days=90),
    )
    return SimulatedKey(key_id=name, licence_file=seal(licence, key_id(vendor.public_key().public_bytes_raw()), vendor))


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Run a site in which much is the case, and a Prometheus that looks on."""
    folder = tmp_path_factory.mktemp("watched")
    (folder / "site").mkdir()
    site = LiveSite(folder / "site")
    authority, cert, key = Authority().write(folder, "b")
    targets = {label: f"{LOOPBACK}:{node.port}" for label, node in site.nodes.items()}
    plain = {"job_name": JOB, "static_configs": [{"targets": [targets["a"]], "labels": {"site": SITE}}]}
    secure = {
        "job_name": "over-tls",
        "scheme": "https",
        "tls_config": {"ca_file": str(authority)},
        "static_configs": [{"targets": [targets["b"]], "labels": {"site": SITE}}],
        # the two coordinators of a site have one job; here they have two for want of one with both schemes
        "relabel_configs": [{"target_label": "job", "replacement": JOB}],
    }
    prometheus = PrometheusServer(folder / "prometheus", [plain, secure], FILE)
    try:
        site.start()
        speak_https(site, cert, key)
        prometheus.start()
        play(site, prometheus)
        yield Watched(site, prometheus)
    finally:
        prometheus.stop()
        site.close()


def speak_https(site: LiveSite, cert: Path, key: Path) -> None:
    """Start node b's coordinator again with a certificate; node a leads then."""
    site.coordinators["b"].end(SIGTERM)
    site.coordinators["b"].environment = {"TWINKEY_TLS_CERT": str(cert), "TWINKEY_TLS_KEY": str(key)}
    site.coordinators["b"].start()
    eventually_sync(lambda: site.leaders() == ["a"], SEEN)


def play(site: LiveSite, prometheus: PrometheusServer) -> None:
    """Let much be the case, and Prometheus see it: the platform uses hosts, both nodes have a key, then none has."""
    first = key_with_service(site.site.vendor, "K1")
    site.plug("a", first)
    site.wait_for("a", lambda status: status["license"]["keyId"] == "K1")
    site.plug("b", replace(first, key_id="K2"))
    usage = json.dumps({"hosts": 3, "cpuCores": 16}).encode()
    assert site.call("a", "PUT", "/v1/licenses/usage", usage).status == http.client.OK
    eventually_sync(lambda: prometheus.ask('twinkey_alert{alert="key-abnormal"} == 1 and on () twinkey_usage'), SEEN)
    site.unplug("a", "K1")
    site.unplug("b", "K2")
    eventually_sync(lambda: prometheus.ask("twinkey_buffer_expiration_timestamp_seconds"), SEEN)


def test_promtool_finds_nothing_to_better_in_the_metrics(watched: Watched) -> None:
    """Names, units, types and help texts follow the conventions."""
    figures = watched.site.get("a", "/metrics").body
    done = subprocess.run(["/usr/bin/promtool", "check", "metrics"], input=figures, capture_output=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


@pytest.mark.parametrize("question", QUESTIONS, ids=[f"{each.panel}-{each.ref}" for each in QUESTIONS])
def test_every_expression_of_the_dashboard_is_answered(watched: Watched, question: Question) -> None:
    """No panel stays empty when there was something to show."""
    ever = f"last_over_time(({question.of(JOB, SITE)})[5m:250ms])"
    eventually_sync(lambda: watched.prometheus.ask(ever), SEEN, ever)


def test_the_dashboards_choices_are_found(watched: Watched) -> None:
    """The variables offer the job and the site."""
    asked = {each["name"]: each["query"] for each in DASHBOARD["templating"]["list"] if each["type"] == "query"}
    assert {name: query.rpartition(" ")[2] for name, query in asked.items()} == {"job": "job)", "site": "site)"}
    assert JOB in watched.prometheus.values_of("job")
    assert SITE in watched.prometheus.values_of("site")


def test_both_coordinators_are_scraped(watched: Watched) -> None:
    """Plainly and over HTTPS, without a token; the one that speaks HTTPS tells when its certificate ends."""
    assert len(watched.prometheus.ask("twinkey_store_up == 1")) == len(watched.site.nodes)
    (end,) = watched.prometheus.ask("twinkey_certificate_expiration_timestamp_seconds - time()")
    assert 0 < float(end["value"][1]) < dt.timedelta(hours=1).total_seconds()


def test_every_rule_can_be_evaluated(watched: Watched) -> None:
    """Prometheus takes the rules and none of them fails on real figures."""

    def evaluated() -> list[dict[str, Any]]:
        rules = watched.prometheus.rules()
        return [] if any(rule["health"] == "unknown" for rule in rules) else rules

    rules = eventually_sync(evaluated, SEEN)
    assert len(rules) == len(RULES)
    assert [(rule["name"], rule["lastError"]) for rule in rules if rule["health"] != "ok"] == []


def test_what_is_the_case_is_told_once(watched: Watched) -> None:
    """The key is removed, the licence and a certificate end soon: one alert each, although two coordinators tell it."""
    expected = {"KeyRemoved": 1, "Expiring": 1, "CertificateEnding": 1}

    def told() -> dict[str, int]:
        rules = [rule for rule in watched.prometheus.rules() if rule["name"] in ALERTS and rule["alerts"]]
        return {rule["name"]: len(rule["alerts"]) for rule in rules}

    eventually_sync(lambda: told() == expected, SEEN, "those alerts and no others")
