"""The table of faults: every row played once, or ten times to measure it and to write `docs/faults.md`.

Usage: python -m tests.netsite.fault_table [--rounds 10] [--only NAME]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.netsite import clock_faults, leader_faults, network_faults, node_faults, store_faults
from tests.netsite.fault import Fault, Scene
from tests.netsite.netsite import NetSite
from tests.site import LEASE_TTL

TABLES = (leader_faults.TABLE, network_faults.TABLE, store_faults.TABLE, node_faults.TABLE, clock_faults.TABLE)
PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
INTRODUCTION = """\
# What happens when something breaks

Every row was played {rounds} times on a whole site on one machine: two nodes and a witness in network namespaces of
their own, with real etcd, keepalived, agents and coordinators. The leases of agents and of the leader were {ttl} s.
Measured is, in seconds, the time from the fault until a reader sees what the row promises, unless the row says what
else. A playing counts as kept only where every read of a node that was not lost had a good answer, nobody was told of
an expired licence, and no node's answers went back. `make faults` writes this page.
"""
HEADING = "| what breaks | what readers see | what is guaranteed | within | median | worst |\n|---|---|---|---|---|---|"


def main(arguments: list[str]) -> int:
    """Play the table and write the page; return 1 where a promise was not kept."""
    parser = argparse.ArgumentParser(prog="fault_table", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="how often each row is played")
    parser.add_argument("--only", default="", help="play this row alone and write no page")
    chosen = parser.parse_args(arguments)
    wanted = [row for table in TABLES for row in table.rows if chosen.only in ("", row.name)]
    measured: dict[str, list[float]] = {row.name: [] for row in wanted}
    rounds = [row for row in wanted for _ in range(chosen.rounds)]
    while rounds:
        with running() as site:
            _play(site, rounds, measured)
    if not chosen.only:
        PAGE.write_text(page(measured, chosen.rounds), encoding="utf-8")
    kept = [len(measured[row.name]) == chosen.rounds and max(measured[row.name]) <= row.within for row in wanted]
    return 0 if all(kept) else 1


@contextmanager
def running() -> Iterator[NetSite]:
    """Run a site in a folder of its own, which is removed with it."""
    with tempfile.TemporaryDirectory(prefix="twinkey-site-") as folder:
        site = NetSite(Path(folder))
        try:
            site.start()
            yield site
        finally:
            site.close()


def _play(site: NetSite, rounds: list[Fault], measured: dict[str, list[float]]) -> None:
    """Play and take away the rows of `rounds` one after the other; end at one that breaks, which may spoil the site."""
    while rounds:
        row = rounds.pop(0)
        try:
            seconds = Scene(site).play(row)
        except Exception as broken:  # noqa: BLE001 - whatever it is, the row is broken and the others are not
            say(f"{row.name}: BROKEN: {broken!r}")
            return
        measured[row.name].append(seconds)
        say(f"{row.name}: {seconds:.2f} s{'' if seconds <= row.within else ' TOO LATE'}")


def page(measured: dict[str, list[float]], rounds: int) -> str:
    """Return the text of `docs/faults.md`."""
    parts = [INTRODUCTION.format(rounds=rounds, ttl=LEASE_TTL)]
    for table in TABLES:
        lines = [_line(row, measured[row.name], rounds) for row in table.rows]
        parts.append("\n".join((f"## {table.title}\n", HEADING, *lines, "")))
    return "\n".join(parts)


def _line(row: Fault, seconds: list[float], rounds: int) -> str:
    figures = (f"{statistics.median(seconds):.2f}", f"{max(seconds):.2f}") if seconds else ("none", "none")
    if len(seconds) < rounds:
        figures = figures[0], f"kept {len(seconds)} of {rounds} times"
    return f"| {' | '.join((row.breaks, row.readers, row.guarantee, f'{row.within:.1f}', *figures))} |"


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
