"""The sites that are measured: whole ones with the leases that they have by default."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cluster.timings import Timings
from tests.measure.listening import Listener
from tests.site import LiveSite

DEFAULTS = Timings()
PATIENCE = 10.0
"""Seconds after which what should have come long ago is given up."""


@contextmanager
def running_site(*labels: str) -> Iterator[LiveSite]:
    """Run a site of two nodes, or of those that are named, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="twinkey-bench-") as folder:
        site = LiveSite(Path(folder), labels or ("a", "b"))
        for agent in site.agents.values():
            agent.environment["TWINKEY_LEASE_TTL"] = str(DEFAULTS.agent_lease_ttl)
        for coordinator in site.coordinators.values():
            coordinator.environment["TWINKEY_LEASE_TTL"] = str(DEFAULTS.lease_ttl)
        try:
            site.start()
            yield site
        finally:
            site.close()


def listeners(site: LiveSite) -> dict[str, Listener]:
    """Hear of every status that the nodes publish."""
    return {label: Listener(node.port, site.site.token) for label, node in site.nodes.items()}


def told(site: LiveSite, label: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of an answer, without the headers that every server makes by itself."""
    answer = site.get(label, path, {name.replace("_", "-"): value for name, value in headers.items()})
    own = {name: value for name, value in answer.headers.items() if name not in {"Date", "Server", "Content-Length"}}
    return answer.status, own, answer.body


def authorised(site: LiveSite, **headers: str) -> dict[str, str]:
    """Return the headers of a call with the site's token."""
    return {"Authorization": f"Bearer {site.site.token}"} | {name.replace("_", "-"): v for name, v in headers.items()}


def decoded(body: bytes) -> dict[str, Any]:
    """Return a body as the object that it is."""
    found: dict[str, Any] = json.loads(body)
    return found
