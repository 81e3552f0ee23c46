"""What a row of the benchmark is, how much work is put into it, and how product and floor take turns.

Knows neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from tests.bench.figures import Figure

T = TypeVar("T")


@dataclass(frozen=True)
class Effort:
    """How much is measured: `rounds` of load of so many `seconds`, so many `samples` of single events.

    `slow_samples` of those that take seconds each; `rest`: for how many seconds an idle site is watched.
    """

    rounds: int
    seconds: float
    samples: int
    slow_samples: int
    rest: float


FULL = Effort(rounds=5, seconds=6, samples=100, slow_samples=20, rest=60)
QUICK = Effort(rounds=2, seconds=2, samples=15, slow_samples=3, rest=10)


@dataclass(frozen=True)
class Row:
    """One row of the table: what is measured, beside which floor, and what it should come to."""

    name: str
    what: str
    floor: str
    aim: str
    measure: Callable[[Effort], Iterable[Figure]]


def in_turn(times: int, product: Callable[[], T], floor: Callable[[], T]) -> tuple[list[T], list[T]]:
    """Return so many results of each, measured in turn so that a drift of the machine hits both alike."""
    products, floors = list[T](), list[T]()
    for number in range(times):
        if number % 2:
            floors.append(floor())
            products.append(product())
        else:
            products.append(product())
            floors.append(floor())
    return products, floors
