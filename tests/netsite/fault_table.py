"""The table of faults: every row played once, or ten times to measure it and to write `docs/faults.md`.

Usage: python -m tests.netsite.fault_table [--rounds 10] [--sites 2] [--only NAME]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.netsite import clock_faults, leader_faults, network_faults, node_faults, store_faults
from tests.netsite.fault import Fault, Measured, Scene
from tests.netsite.netsite import NetSite
from tests.site import LEASE_TTL, started

TABLES = (leader_faults.TABLE, network_faults.TABLE, store_faults.TABLE, node_faults.TABLE, clock_faults.TABLE)
PAGE = Path(__file__).parents[2] / "docs" / "faults.md"
INTRODUCTION = """\
# What happens when something breaks

Every row was played {rounds} times on a whole site on one machine: two nodes and a witness in network namespaces of
their own, with real etcd, keepalived, agents and coordinators; {sites} of them ran beside each other. The leases of
agents and of the leader were {ttl} s; an agent's is 5 s where its `lease_ttl` is not set, and what is told by its end
comes that much later. keepalived had `advert_int` 0.1 and no `track_file`. [The sample](keepalived/keepalived.conf) has
both otherwise: with its `advert_int` of 1 the virtual IP moves up to 3.5 s after its holder is lost, and by its
`track_file` the agent gives the address up where [the virtual IP](virtual-ip.md) says so, such as when two nodes hold
it.

Measured is, in seconds, the time from the fault until a reader sees what the row promises, unless the row says what
else. A playing counts as kept only where every read of a node that was not lost had a good answer, nobody was told of
an expired licence, no node's answers went back, and the virtual IP was silent for no longer than the row says. `make
faults` writes this page.
"""
HEADING = "| what breaks | what readers see | what is guaranteed | within | median | worst |\n|---|---|---|---|---|---|"


def main(arguments: list[str]) -> int:
    """Play the table and write the page; return 1 where a promise was not kept."""
    parser = argparse.ArgumentParser(prog="fault_table", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="how often each row is played")
    parser.add_argument("--sites", type=int, default=1, help="how many sites are played on at the same time")
    parser.add_argument("--only", default="", help="play this row alone and write no page")
    chosen = parser.parse_args(arguments)
    wanted = [row for table in TABLES for row in table.rows if chosen.only in ("", row.name)]
    if not wanted:
        parser.error(f"there is no row {chosen.only}; the rows are named like leader-killed")
    measured = play_beside([row for row in wanted for _ in range(chosen.rounds)], chosen.sites)
    if not chosen.only:
        PAGE.write_text(page(measured, chosen.rounds, chosen.sites), encoding="utf-8")
    kept = [sum(map(row.kept, measured.get(row.name, ()))) == chosen.rounds for row in wanted]
    return 0 if all(kept) else 1


@contextmanager
def running() -> Iterator[NetSite]:
    """Run a site in a folder of its own, which is removed with it."""
    with tempfile.TemporaryDirectory(prefix="twinkey-site-") as folder, started(NetSite(Path(folder))) as site:
        yield site


def play_beside(rounds: Sequence[Fault], sites: int) -> dict[str, list[Measured]]:
    """Play the rows on several sites at once, each beginning elsewhere in the table so that all are at other rows."""
    parts = [rounds[number::sites] for number in range(sites)]
    turned = [[*part[at:], *part[:at]] for number, part in enumerate(parts) for at in [len(part) * number // sites]]
    with ProcessPoolExecutor(sites) as pool:
        found = list(pool.map(play_all, turned))
    return {row.name: [each for part in found for each in part.get(row.name, ())] for row in rounds}


def play_all(rounds: Sequence[Fault]) -> dict[str, list[Measured]]:
    """Play one row after the other and return what was measured, by row; one that breaks is missing there."""
    measured: dict[str, list[Measured]] = {row.name: [] for row in rounds}
    played = 0
    while played < len(rounds):
        try:
            with running() as site:
                for row in rounds[played:]:
                    found = Scene(site).play(row)
                    measured[row.name].append(found)
                    played += 1
                    say(f"{played} of {len(rounds)}: {_told(row, found)}")
        except Exception as broken:  # noqa: BLE001 - whatever it is, it breaks one playing; the next gets another site
            if played < len(rounds):
                say(f"{played + 1} of {len(rounds)}: {rounds[played].name}: BROKEN: {broken!r}")
                played += 1
    return measured


def _told(row: Fault, found: Measured) -> str:
    silence = "" if row.vip_gap is None else f", the virtual IP silent for {found.silence:.2f} s"
    return f"{row.name}: {found.seconds:.2f} s{silence}{'' if row.kept(found) else ' TOO LATE'}"


def page(measured: dict[str, list[Measured]], rounds: int, sites: int) -> str:
    """Return the text of `docs/faults.md`."""
    parts = [INTRODUCTION.format(rounds=rounds, ttl=LEASE_TTL, sites=sites)]
    for table in TABLES:
        lines = [_line(row, measured[row.name], rounds) for row in table.rows]
        parts.append("\n".join((f"## {table.title}\n", HEADING, *lines, "")))
    return "\n".join(parts)


def _line(row: Fault, measured: list[Measured], rounds: int) -> str:
    seconds, kept = [each.seconds for each in measured], sum(map(row.kept, measured))
    figures = (f"{statistics.median(seconds):.2f}", f"{max(seconds):.2f}") if seconds else ("none", "none")
    if kept < rounds:
        figures = figures[0], f"{figures[1]}; kept {kept} of {rounds} times"
    return f"| {' | '.join((row.breaks, row.readers, row.guarantee, f'{row.within:.1f}', *figures))} |"


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
