"""The arithmetic of the benchmark: percentiles, ratios, aims, and the line of JSON."""

from __future__ import annotations

import json

import pytest

from tests.bench.figures import Aim, Figure, at_least, at_most, compared, median, percentile


@pytest.mark.parametrize(
    ("percent", "expected"), [(50, 50), (99, 99), (100, 100), (1, 1), (0, 1)], ids=["p50", "p99", "p100", "p1", "p0"]
)
def test_percentile(percent: float, expected: float) -> None:
    """A percentile is the smallest sample that so many of a hundred do not exceed, in whatever order they came."""
    assert percentile([float(number) for number in range(100, 0, -1)], percent) == expected


def test_few_samples() -> None:
    """Of few samples the p99 is the worst one, and the median of two is the better one."""
    assert percentile([3.0, 1.0, 2.0], 99) == 3.0
    assert median([2.0, 1.0]) == 1.0


def test_no_samples() -> None:
    """Where nothing was measured there is no percentile."""
    with pytest.raises(ValueError, match="nothing was measured"):
        percentile([], 50)


@pytest.mark.parametrize(
    ("aim", "value", "met"),
    [(at_most(3), 30, True), (at_most(3), 31, False), (at_least(0.9), 9, True), (at_least(0.9), 8.9, False)],
    ids=["at-most", "more", "at-least", "less"],
)
def test_aim(aim: Aim, value: float, met: bool) -> None:  # noqa: FBT001 - a column of the table
    """An aim is met up to its bound and not beyond."""
    assert Figure("x", value, "ms", 10, 1, aim).met is met


def test_limit_of_nothing() -> None:
    """Where nothing at all is allowed there is no ratio, and the aim tells nothing from something."""
    assert Figure("writes", 0, "1/min", 0, 1, at_most(1)).met
    assert not Figure("writes", 1, "1/min", 0, 1, at_most(1)).met
    assert json.loads(Figure("writes", 0, "1/min", 0, 1).line)["ratio"] is None


def test_line() -> None:
    """A line of JSON has the six members that are promised, with four digits, and is one line."""
    line = Figure("decide.p50", 69.4149, "µs", 200, 750, at_most(1)).line
    assert json.loads(line) == {
        "name": "decide.p50",
        "value": 69.41,
        "unit": "µs",
        "limit": 200,
        "ratio": 0.3471,
        "n": 750,
    }
    assert "\n" not in line


def test_compared() -> None:
    """Samples in seconds become a figure for each percentile, with the floor's as its limit."""
    p50, p99 = compared("x", [0.002, 0.004, 0.006], [0.001, 0.002, 0.003], {50: at_most(3), 99: None})
    assert (p50.name, p50.value, p50.limit, p50.n, p50.ratio, p50.aim) == ("x.p50", 4.0, 2.0, 3, 2.0, at_most(3))
    assert (p99.name, p99.value, p99.limit, p99.aim) == ("x.p99", 6.0, 3.0, None)
