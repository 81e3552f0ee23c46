"""A site on which nothing happens does nothing."""

from __future__ import annotations

from tests.site import LiveSite, let_pass

WATCHED = 10.0
BUSY = 0.02
"""Share of one core that is too much for a daemon that only renews a lease."""


def test_an_idle_site_writes_nothing_and_costs_nothing(site: LiveSite) -> None:
    """Over ten seconds etcd's revision, the answer and the logs stay as they are, and no daemon is busy."""
    site.plug("a", site.new_key("idle-a"))
    site.plug("b", site.new_key("idle-b"))
    site.wait_for_all(lambda status: status["keyState"] == "Abnormal" and status["buffer"] is None)
    before = [(daemon.cpu_seconds, daemon.threads, daemon.files, daemon.log) for daemon in site.daemons]
    tags = [site.get(label, "/v1/status").headers["ETag"] for label in site.nodes]
    revision = site.revision
    let_pass(WATCHED)
    assert site.revision == revision
    for daemon, (cpu, threads, files, log) in zip(site.daemons, before, strict=True):
        assert daemon.cpu_seconds - cpu < BUSY * WATCHED
        assert daemon.threads <= threads
        assert daemon.files <= files + 1  # a connection of the test's own
        assert daemon.log == log
    assert [site.get(label, "/v1/status").headers["ETag"] for label in site.nodes] == tags
