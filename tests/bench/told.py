"""How the benchmark is told: a table for the terminal, lines of JSON, and the page `docs/performance.md`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.bench.figures import Figure, rounded
from tests.bench.row import Row
from tests.bench.steps import Step

PROFILE = Path(__file__).with_name("profile.md")
"""What profiles have shown, and where a limit is, written by people; a part of the page."""
COLUMNS = ("figure", "value", "limit", "unit", "ratio", "aim", "n")
INTRODUCTION = """\
# How fast, and how small

Every figure was measured in one run beside its limit: a floor that does the least that the same job takes on the same
machine, measured in turn with it, or where there is no floor what is allowed. The ratio of the two says more than
either, because machines differ. Rates and latencies of HTTP are medians over rounds of load by wrk; single events are
told by their median and p99. `make bench` measures this and writes this page.
"""
PEERS = """\
## Beside others

What the defaults of others come to for the same, as their makers publish them:

| | here | there |
|---|---|---|
| a lost leader is replaced | its lease is {lease} s | Patroni: `ttl` 30 s, `loop_wait` 10 s; client-go's leader election: lease 15 s, renewed within 10 s, tried every 2 s |
| a key is noticed | by an event: see `plug_to_published` | the platform's own documentation: read every 2 s |
"""  # noqa: E501 - rows of a table


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as lines for a terminal; what misses its aim is marked."""
    rows = [COLUMNS, *map(_cells, figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def page(
    rows: Sequence[Row],
    figures: Mapping[str, Sequence[Figure]],
    steps: Sequence[Step],
    machine: Mapping[str, str],
    lease: int,
    profile: str,
) -> str:
    """Return the text of `docs/performance.md`; `figures` by the name of their row."""
    what = [f"| `{row.name}` | {row.what} | {row.floor} | {row.aim} |" for row in rows]
    found = [f"| {' | '.join(_cells(figure))} |" for row in rows for figure in figures[row.name]]
    where = [f"| {name} | {value} |" for name, value in machine.items()]
    parts = [
        INTRODUCTION,
        "\n".join(["## The machine", "", "| | |", "|---|---|", *where, ""]),
        "\n".join(["## What is measured", "", _heading("row", "what", "beside", "aim"), *what, ""]),
        "\n".join(["## The figures", "", _heading(*COLUMNS), *found, ""]),
        PEERS.format(lease=lease),
        profile.rstrip("\n") + "\n",
        "\n".join([_heading("of", "step", "ms", "MiB"), *map(_step, steps), ""]),
    ]
    return "\n".join(parts)


def _step(step: Step) -> str:
    memory = "–" if step.memory is None else f"{step.memory:.1f}"
    return f"| {step.of} | {step.name} | {step.milliseconds:.1f} | {memory} |"


def _heading(*names: str) -> str:
    return f"| {' | '.join(names)} |\n|{'---|' * len(names)}"


def _cells(figure: Figure) -> tuple[str, ...]:
    ratio = "–" if figure.ratio is None else f"{figure.ratio:.2f}"
    aim = "–" if figure.aim is None else f"{figure.aim}{'' if figure.met else ' MISSED'}"
    numbers = (_number(figure.value), _number(figure.limit))
    return (figure.name, *numbers, figure.unit, ratio, aim, f"{figure.n:,}")


def _number(value: float) -> str:
    value = rounded(value)
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"
