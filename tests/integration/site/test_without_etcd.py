"""What a node may and may not say while etcd is away: expiries apply, and not to know is not to be unlicensed."""

from __future__ import annotations

import datetime as dt
import http.client

from coordinator.snapshot import FILE
from tests.site import LiveSite, Status, keys_in
from tests.waiting import eventually_sync

NOTICED = 3.0
"""Seconds within which a coordinator knows that etcd is away."""
LATE = dt.timedelta(seconds=0.3)
"""How long after its end both nodes have certainly been seen to say that a licence is expired."""


def use_key(site: LiveSite, name: str, life: dt.timedelta = dt.timedelta(days=300)) -> Status:
    """Plug a new key into node a and return what is shown when its licence is in force."""
    site.plug("a", site.new_key(name, life))
    return site.wait_for_all(lambda status: (status["license"]["keyId"], status["keyState"]) == (name, "Ready"))[0]


def test_a_node_that_starts_without_etcd_and_snapshot_knows_nothing_yet(site: LiveSite) -> None:
    """Its coordinator lives and is not ready, 503 and not Expired; with etcd back it answers, and its agent reports."""
    use_key(site, "waits")
    site.etcd.stop()
    for daemon in site.agents["b"], site.coordinators["b"]:
        daemon.end()
    (site.nodes["b"].folder / "coordinator" / FILE).unlink()
    for daemon in site.agents["b"], site.coordinators["b"]:
        daemon.start()
    site.plug("b", site.new_key("early"))
    eventually_sync(lambda: site.get("b", "/livez").status == http.client.OK, 10)
    for path in "/readyz", "/v1/status":
        answer = site.get("b", path)
        assert answer.status == http.client.SERVICE_UNAVAILABLE
        assert answer.headers["Retry-After"]
    site.start()
    for status in site.wait_for_all(lambda status: status["keyState"] == "Abnormal", 10):
        assert keys_in(status) == {"a": {"waits": "ok"}, "b": {"early": "ok"}}
        assert (status["license"]["keyId"], status["license"]["status"], status["buffer"]) == ("waits", "Valid", None)


def test_a_licence_ends_on_time_and_for_good(site: LiveSite) -> None:
    """A licence that ends in an outage is Expired from that very moment on, and not Valid again when etcd is back."""
    ends = dt.datetime.fromisoformat(use_key(site, "short", dt.timedelta(seconds=5))["license"]["expires"])
    site.etcd.stop()
    site.wait_for_all(lambda status: status["stale"] and status["license"]["status"] == "Valid", NOTICED)
    told = {label: _when_expired(site, label) for label in site.nodes}
    for label, at in told.items():
        assert ends <= at < ends + LATE
        status = site.status(label)
        assert (status["stale"], status["restricted"], status["startAllowed"]) == (True, True, True)
        assert "expired" in status["alerts"]
    site.start()
    for status in site.wait_for_all(lambda status: not status["stale"], 10):
        assert (status["license"]["name"], status["license"]["status"]) == ("short", "Expired")
        assert status["buffer"] is None


def _when_expired(site: LiveSite, label: str) -> dt.datetime:
    """Return when a node first says Expired."""
    site.wait_for(label, lambda status: status["license"]["status"] == "Expired", 8)
    return dt.datetime.now(dt.UTC)
