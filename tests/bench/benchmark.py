"""The benchmark: every row is measured beside its floor, and told as a table, as lines of JSON and as a page.

Usage: python -m tests.bench.benchmark [--only NAME]... [--quick] [--json FILE]. A whole run alone writes the page
`docs/performance.md`. It exits with 1 where an aim is missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.bench import (
    deciding,
    failing_over,
    paging,
    publishing,
    reading,
    resting,
    shared_etcd,
    starting,
    streaming,
    uploading,
)
from tests.bench.figures import Figure
from tests.bench.machine import machine
from tests.bench.row import FULL, QUICK, Row
from tests.bench.sites import DEFAULTS
from tests.bench.steps import steps
from tests.bench.told import PROFILE, page, table

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
ROWS: tuple[Row, ...] = (
    publishing.ROW,
    *reading.ROWS,
    streaming.ROW,
    *failing_over.ROWS,
    deciding.ROW,
    starting.ROW,
    resting.ROW,
    paging.ROW,
    uploading.ROW,
    reading.SCRAPE,
    shared_etcd.ROW,
)


def main(arguments: list[str]) -> int:
    """Measure, and tell it; return 1 where an aim is missed."""
    names = [row.name for row in ROWS]
    parser = argparse.ArgumentParser(prog="benchmark", description=__doc__)
    parser.add_argument("--only", action="append", choices=names, help="measure this row; may be given again")
    parser.add_argument("--quick", action="store_true", help="measure little: the figures are rough")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the lines of JSON to a file, too")
    chosen = parser.parse_args(arguments)
    rows = [row for row in ROWS if row.name in (chosen.only or names)]
    figures: dict[str, list[Figure]] = {}
    for row in rows:
        say(f"{row.name}: {row.what}")
        figures[row.name] = list(row.measure(QUICK if chosen.quick else FULL))
        sys.stderr.write(f"{table(figures[row.name])}\n")  # should a later row fail, this one is not lost
    every = [figure for found in figures.values() for figure in found]
    lines = "".join(f"{figure.line}\n" for figure in every)
    sys.stdout.write(f"\n{table(every)}\n\n{lines}")
    if chosen.json:
        chosen.json.write_text(lines, encoding="utf-8")
    if len(rows) == len(ROWS) and not chosen.quick:
        say("where the time goes")
        profile = PROFILE.read_text(encoding="utf-8")
        text = page(rows, figures, steps(FULL), machine(), DEFAULTS.lease_ttl, profile)
        PAGE.write_text(text, encoding="utf-8")
    return 0 if all(figure.met for figure in every) else 1


def say(line: str) -> None:
    """Tell at once on standard error what goes on."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
