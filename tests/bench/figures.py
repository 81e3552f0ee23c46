"""What was measured: figures beside their limits, the aims that they are held against, and how they are told.

Pure: nothing is measured here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

MILLI, MICRO = 1e3, 1e6


@dataclass(frozen=True)
class Aim:
    """How a figure should compare with its limit: `≤ 3 ×` or `≥ 0.9 ×`."""

    sign: Literal["≤", "≥"]
    times: float

    def met(self, value: float, limit: float) -> bool:
        """Whether a value does."""
        bound = self.times * limit
        return value <= bound if self.sign == "≤" else value >= bound

    def __str__(self) -> str:
        return f"{self.sign} {self.times:g} ×"


def at_most(times: float) -> Aim:
    """So many times the limit, or less."""
    return Aim("≤", times)


def at_least(times: float) -> Aim:
    """So many times the limit, or more."""
    return Aim("≥", times)


@dataclass(frozen=True)
class Figure:
    """One figure; without an aim it is told and not judged.

    `limit`: the same of the floor, measured in the same run, or without a floor what is allowed. `n`: of how many
    measurements it was made.
    """

    name: str
    value: float
    unit: str
    limit: float
    n: int
    aim: Aim | None = None

    @property
    def ratio(self) -> float | None:
        """The value in limits; None where the limit is nothing."""
        return self.value / self.limit if self.limit else None

    @property
    def met(self) -> bool:
        """Whether the aim is met, if there is one."""
        return self.aim is None or self.aim.met(self.value, self.limit)

    @property
    def line(self) -> str:
        """The figure as a line of JSON."""
        ratio = None if self.ratio is None else rounded(self.ratio)
        told = {"name": self.name, "value": rounded(self.value), "unit": self.unit, "limit": rounded(self.limit)}
        return json.dumps({**told, "ratio": ratio, "n": self.n}, ensure_ascii=False)


def percentile(samples: Sequence[float], percent: float) -> float:
    """Return the smallest sample that so many of a hundred do not exceed.

    Raises:
        ValueError: there are none.
    """
    if not samples:
        raise ValueError("nothing was measured")
    return sorted(samples)[max(math.ceil(percent / 100 * len(samples)), 1) - 1]


def median(samples: Sequence[float]) -> float:
    """Return the percentile 50."""
    return percentile(samples, 50)


def compared(
    name: str, product: Sequence[float], floor: Sequence[float], aims: Mapping[int, Aim | None], unit: str = "ms"
) -> list[Figure]:
    """Return one figure for each percentile in `aims`, of samples in seconds; `unit` is ms or µs."""
    scale = MILLI if unit == "ms" else MICRO
    return [
        Figure(
            f"{name}.p{percent}",
            scale * percentile(product, percent),
            unit,
            scale * percentile(floor, percent),
            len(product),
            aim,
        )
        for percent, aim in aims.items()
    ]


def rounded(number: float) -> float:
    """Return a number to four digits, which is more than can be relied on."""
    return float(f"{number:.4g}")
