"""What may be written to a terminal, tables, and a sign of life while something takes its time; cheap to import."""

from __future__ import annotations

import datetime as dt
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

FILE_WIDTH = 200
"""Columns where the output is no terminal, which would say how wide it is."""


def printable(text: str) -> str:
    """Return the text without what could confuse a terminal or a reader; USB keys name themselves."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def when(moment: dt.datetime | None) -> str:
    """Return a time as people read it, to the minute in UTC; a dash for none."""
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC" if moment else "-"


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under their columns' names; without names, the first column names what is in the others."""
    from rich.console import Console  # noqa: PLC0415 - rich is slow to import and not always needed
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, show_header=any(columns), header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold", style="" if column or table.columns else "dim")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    known = sys.stdout.isatty() or "COLUMNS" in os.environ
    Console(highlight=False, width=None if known else FILE_WIDTH).print(table)


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print names with their values, one under the other."""
    print_table(("", ""), facts)


@contextmanager
def waiting(doing: str) -> Iterator[None]:
    """Show on a terminal that something is going on, beside what the command prints; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console  # noqa: PLC0415 - rich is slow to import and not always needed

    with Console(stderr=True).status(f"{doing} ..."):
        yield
