"""A running site in which the clock of one coordinator is set, with libfaketime: the process sees it, nothing else."""

from __future__ import annotations

import datetime as dt
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from signal import SIGTERM

import pytest

from cluster.values import decode_value, encode_value
from coordinator.published import Clock
from tests.site import KEYS, LiveSite, Status
from tests.waiting import eventually_sync

LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
YEAR = 365
PAGE = Path(__file__).parents[3] / "docs" / "time.md"
LIFE = dt.timedelta(days=100)


class SetClock:
    """The wall clock of one node's coordinator, which the test sets while it runs."""

    def __init__(self, site: LiveSite, label: str, folder: Path) -> None:
        self._file = folder / f"offset-{label}"
        self.coordinator = site.coordinators[label]
        self.set(0)
        self.coordinator.environment = {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, days: int) -> None:
        """Put the clock so many days forward of the right time, or back."""
        draft = self._file.with_suffix(".new")
        draft.write_text(f"{days:+d}d\n", encoding="ascii")
        draft.replace(self._file)

    def restart(self) -> None:
        """End the coordinator and start it again."""
        self.coordinator.end(SIGTERM)
        self.coordinator.start()


@pytest.fixture
def clock(site: LiveSite, tmp_path: Path) -> Iterator[SetClock]:
    """Give the clock of node a's coordinator, which leads and serves a key's licence."""
    assert LIBRARY.exists(), "install what the tests need: apt-get install faketime"
    clock = SetClock(site, "a", tmp_path)
    clock.restart()
    site.coordinators["b"].end(SIGTERM)
    eventually_sync(lambda: site.leaders() == ["a"], 15)
    site.coordinators["b"].start()
    site.plug("a", site.new_key("timed", LIFE))
    site.wait_for_all(lambda status: status["keyState"] == "Ready" and not clock_alerts(status), 15)
    yield clock
    clock.set(0)
    clock.coordinator.environment = {}
    clock.restart()


def clock_alerts(status: Status) -> set[str]:
    """Return the alerts that are about clocks."""
    return {alert for alert in status["alerts"] if alert.startswith("clock-")}


def shown(site: LiveSite, *alerts: str) -> None:
    """Wait until both nodes tell exactly these alerts of clocks, and that the licence is valid."""
    for status in site.wait_for_all(lambda status: clock_alerts(status) == set(alerts) and not status["stale"], 15):
        assert (status["license"]["name"], status["license"]["status"]) == ("timed", "Valid")
    assert abs(mark(site) - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=5)


def mark(site: LiveSite) -> dt.datetime:
    """Return the stored high-water mark."""
    return decode_value(KEYS.clock, site.read(KEYS.clock).value, Clock).high_water


def test_a_clock_that_is_set_while_the_coordinator_runs(site: LiveSite, clock: SetClock) -> None:
    """A year ahead: told on both nodes, nothing expires; put right: nothing is left of it; a day back: told, held."""
    clock.set(YEAR)
    shown(site, "clock-quarantined")
    reasons = " ".join(site.status("b")["reasons"])
    assert "The clock of node a is ahead by about 365 days" in reasons
    metrics = site.get("a", "/metrics").body.decode()
    assert "twinkey_clock_quarantined 1.0" in metrics
    clock.set(0)
    shown(site)
    clock.set(-1)
    shown(site, "clock-rollback")
    clock.set(0)
    shown(site)


def test_a_clock_that_is_set_while_no_coordinator_runs(site: LiveSite, clock: SetClock) -> None:
    """A new start of the coordinator makes a leap no more credible, whether or not it leads then."""
    clock.coordinator.end(SIGTERM)
    clock.set(YEAR)
    clock.coordinator.start()
    site.wait_for("a", lambda status: clock_alerts(status) == {"clock-quarantined"} and not status["stale"], 15)
    assert site.status("a")["license"]["status"] == "Valid"
    site.coordinators["b"].end(SIGTERM)
    eventually_sync(lambda: site.leaders() == ["a"], 15)
    site.coordinators["b"].start()
    shown(site, "clock-quarantined")


def test_a_stored_time_that_is_too_late_is_repaired_as_the_page_says(site: LiveSite) -> None:
    """Time does not go back by itself; after the steps of the page the site is in the present again."""
    stored = decode_value(KEYS.clock, site.read(KEYS.clock).value, Clock)
    site.write(KEYS.clock, encode_value(Clock(stored.high_water + dt.timedelta(days=YEAR), stored.index)))
    site.wait_for_all(lambda status: clock_alerts(status) == {"clock-rollback"}, 15)
    reasons = " ".join(site.status("b")["reasons"])
    assert "docs/time.md" in reasons
    index = site.status("a")["index"]
    for daemon in site.coordinators.values():
        daemon.end(SIGTERM)
    now = dt.datetime.now(dt.UTC)
    subprocess.run(["/bin/sh", "-ec", steps(now)], check=True, timeout=20, env=etcdctl_environment(site))
    for node in site.nodes.values():
        for name in "time-base", "snapshot":
            (node.folder / "coordinator" / name).unlink(missing_ok=True)
    site.start()
    for status in site.wait_for_all(lambda status: status["index"] > index and not clock_alerts(status), 15):
        assert abs(dt.datetime.fromisoformat(status["asOf"]) - now) < dt.timedelta(minutes=5)


def steps(now: dt.datetime) -> str:
    """Return the commands of the page, for this site and time."""
    page = PAGE.read_text(encoding="utf-8")
    commands = re.findall(r"^       (\S.*|  .*)$", page, re.MULTILINE)
    script = "\n".join(commands).replace("/twinkey/SITE", KEYS.prefix.rstrip("/"))
    return script.replace("2026-11-24T12:00:00Z", f"{now:%Y-%m-%dT%H:%M:%S}Z")


def etcdctl_environment(site: LiveSite) -> dict[str, str]:
    """Return the environment in which etcdctl speaks to the site's etcd."""
    path = f"{site.etcd.binary.parent}:{os.environ['PATH']}"
    return {"PATH": path, "ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": site.etcd.endpoints[0]}
