"""Whether a site is as fast on an etcd that serves many others: those of `tests.bench.other_sites`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path

from cluster.local_etcd import die_with_parent
from tests.bench.figures import Figure, at_least, at_most, compared, percentile
from tests.bench.publishing import plug_and_pull
from tests.bench.row import Effort, Row, in_turn
from tests.bench.sites import DEFAULTS, listeners, running_site
from tests.site import LiveSite, let_pass

JUDGED, BEYOND = (20, 100), (200,)
"""Sites in all; how many more there may be is tried, and nothing is promised of it."""
HOLDS = at_most(2)
LEASES_OVER = DEFAULTS.agent_lease_ttl + 1.0
"""Seconds after which nothing of other sites that were ended is going on in etcd."""


class TooMany(Exception):  # noqa: N818 - it says what they are
    """So many sites do not even come up beside each other on this machine."""


def shared_etcd(effort: Effort) -> Iterator[Figure]:
    """The same key is plugged in among more and more other sites, in turn with the site alone."""
    with running_site() as site:
        hears, key = listeners(site), site.new_key("K1")
        plug_and_pull(site, hears, key)

        def among(number: int) -> list[float]:
            with others(site, number - 1):
                return [plug_and_pull(site, hears, key) for _ in range(max(effort.samples // effort.rounds // 2, 5))]

        held = 1
        for number in (*JUDGED, *BEYOND):
            judged = number in JUDGED
            try:
                found = in_turn(effort.rounds if judged else 2, partial(among, number), partial(among, 1))
            except (TooMany, TimeoutError):
                break
            shared, alone = (list(chain(*each)) for each in found)
            yield from compared(f"shared_etcd.{number}", shared, alone, {50: None, 99: HOLDS if judged else None})
            if HOLDS.met(percentile(shared, 99), percentile(alone, 99)):
                held = number
            elif not judged:
                break
        yield Figure("shared_etcd.most", held, "sites", max(JUDGED), 1, at_least(1))


@contextmanager
def others(site: LiveSite, number: int) -> Iterator[None]:
    """Let so many other sites share the site's etcd meanwhile."""
    if not number:
        yield
        return
    command = [sys.executable, "-m", "tests.bench.other_sites", site.etcd.endpoints[0], str(number)]
    process = subprocess.Popen(
        command,
        cwd=Path(__file__).parents[2],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call
    )
    try:
        assert process.stdout
        if not process.stdout.readline():
            raise TooMany("the other sites did not begin")
        yield
        if process.poll() is not None:
            raise TooMany("the other sites ended")
    finally:
        process.terminate()
        process.wait()
        let_pass(LEASES_OVER)


ROW = Row(
    "shared_etcd",
    "the same as `plug_to_published` while the etcd serves 20, 100 and, where it can, 200 sites",
    "the same with 1 site; the others renew, probe, watch and write as often as real ones, from one more process",
    "p99 ≤ 2 ×; `most` is up to how many that held",
    shared_etcd,
)
