"""Real daemons and the socket of a service manager, without etcd: ready, reloading, alive, stopping."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from signal import SIGCONT, SIGHUP, SIGSTOP, SIGTERM

import pytest

from tests.notify_socket import NotifySocket
from tests.site import Daemon, LiveSite, let_pass
from tests.waiting import eventually_sync

WATCHDOG = 0.4
"""Seconds."""


@pytest.fixture
def notified(tmp_path: Path) -> Iterator[NotifySocket]:
    """Give the manager's socket."""
    with NotifySocket(str(tmp_path / "notify")) as found:
        yield found


@pytest.fixture(params=["agent", "coordinator"])
def daemon(request: pytest.FixtureRequest, site: LiveSite, notified: NotifySocket) -> Daemon:
    """Start a daemon as the manager does, and return when it is ready; etcd does not run."""
    found = {"agent": site.agents, "coordinator": site.coordinators}[request.param]["a"]
    found.environment = {"NOTIFY_SOCKET": notified.address, "WATCHDOG_USEC": str(int(WATCHDOG * 1e6))}
    found.start()
    eventually_sync(lambda: notified.states == ["READY=1"], 20)
    return found


def test_a_daemon_tells_its_life(daemon: Daemon, notified: NotifySocket) -> None:
    """Ready without etcd, a reload for SIGHUP, and that it stops; with a line that says what it does."""
    eventually_sync(lambda: [line for line in notified.said if line.startswith("STATUS=")])
    daemon.send(SIGHUP)
    eventually_sync(lambda: notified.states == ["READY=1", "RELOADING=1", "READY=1"])
    daemon.end(SIGTERM)
    assert notified.states == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]
    assert daemon.exit_code == 0


def test_a_daemon_that_hangs_gives_no_sign_of_life(daemon: Daemon, notified: NotifySocket) -> None:
    """Signs come as long as it works, and again when it does."""
    sign = "WATCHDOG=1"
    eventually_sync(lambda: notified.count(sign) > 1)
    daemon.send(SIGSTOP)
    eventually_sync(lambda: Path(f"/proc/{daemon.pid}/stat").read_text(encoding="ascii").rpartition(")")[2][1] == "T")
    before = notified.count(sign)
    let_pass(2 * WATCHDOG)
    assert notified.count(sign) == before
    daemon.send(SIGCONT)
    eventually_sync(lambda: notified.count(sign) > before)


def test_a_daemon_says_why_it_stopped(site: LiveSite, notified: NotifySocket) -> None:
    """Whoever looks at the unit sees the reason without the log, for settings and for what is found later."""
    daemon = site.coordinators["a"]
    for name, value, says in (("LISTEN", "nowhere", "Bad settings: "), ("TOKENS", "/none.json", "Stopped: ")):
        daemon.environment = {"NOTIFY_SOCKET": notified.address, f"TWINKEY_{name}": value}
        daemon.start()
        eventually_sync(lambda: not daemon.running, 20)
        assert notified.said[-1].startswith(f"STATUS={says}")
        assert value in notified.said[-1]
    assert notified.states == []


def test_plain_http_for_the_network_is_warned_of_once(site: LiveSite, notified: NotifySocket) -> None:
    """Tokens would cross it readable; it is allowed all the same, and on the loopback not worth a word."""
    daemon = site.coordinators["a"]
    daemon.environment = {
        "NOTIFY_SOCKET": notified.address,
        "TWINKEY_LISTEN": f"0.0.0.0:{site.nodes['a'].port}",
    }
    daemon.start()
    eventually_sync(lambda: notified.states == ["READY=1"], 20)
    assert daemon.log.count(b'event="API speaks plain HTTP"') == 1


def test_the_journal_gets_priorities_and_no_times(site: LiveSite) -> None:
    """Where standard error is the stream that systemd named, every line begins with its priority."""
    daemon = site.coordinators["a"]
    log = site.nodes["a"].folder / "coordinator.log"
    log.touch()
    stat = log.stat()
    daemon.environment = {"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"}
    daemon.start()
    eventually_sync(lambda: b"event=" in daemon.log, 20)
    daemon.end(SIGTERM)
    lines = daemon.log.decode().splitlines()
    assert all(line[:1] + line[2:3] == "<>" and line[1].isdigit() for line in lines), lines
    assert any(line.startswith('<6>level=info from=coordinator.main event="coordinator starts"') for line in lines)
    assert b"API speaks plain HTTP" not in daemon.log
