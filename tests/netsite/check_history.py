"""Play random stories on a site of namespaces and check their histories, as often as there is time.

Usage: python -m tests.netsite.check_history [--seconds 600] [--seed N] [--story 60]
"""

from __future__ import annotations

import argparse
import secrets
import sys

from tests.netsite.fault_table import running, say
from tests.netsite.history import faults_of, timeline
from tests.netsite.netsite import now
from tests.netsite.story import play


def main(arguments: list[str]) -> int:
    """Play and check; return 1 at the first bad history, after printing its seed and what was done."""
    parser = argparse.ArgumentParser(prog="check_history", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="for how long stories are begun")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of the first story")
    parser.add_argument("--story", type=float, default=60.0, help="seconds that one story takes")
    chosen = parser.parse_args(arguments)
    until, seed = now() + chosen.seconds, chosen.seed
    while now() < until:
        say(f"seed {seed}")
        with running() as site:
            history = play(site, seed, min(chosen.story, until - now()))
        found = faults_of(history)
        say(
            f"{len(history.deeds)} deeds, {len(history.uploads)} uploads, {len(history.usage)} reports, "
            f"{sum(map(len, history.readings.values()))} readings, {len(history.published)} publications"
        )
        if found:
            say(timeline(history, found))
            return 1
        seed += 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
