"""What the kernel has told of USB devices, counted. Pure: knows neither how it is heard nor what follows from it."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from usbwatch.driver import Ids

_LEAVING = frozenset({"remove", "unbind"})


@dataclass(frozen=True)
class Heard:
    """A number of events.

    `leaving`: how many of them tell that something leaves. `arrived` and `left`: how many tell that a device that a
    driver claims came or went. One device makes several events.
    """

    events: int = 0
    leaving: int = 0
    arrived: int = 0
    left: int = 0

    @property
    def of_keys(self) -> bool:
        """Whether a claimed device came or went."""
        return bool(self.arrived or self.left)

    def __add__(self, other: Heard) -> Heard:
        """Return both together."""
        return Heard(
            self.events + other.events,
            self.leaving + other.leaving,
            self.arrived + other.arrived,
            self.left + other.left,
        )


def heard_of(action: str | None, product: str | None, claims: AbstractSet[Ids]) -> Heard:
    """Return what one event tells; `product` names the device as the kernel does, `1209/a1a1/100`."""
    ours = _ids(product) in claims
    return Heard(
        events=1,
        leaving=int(action in _LEAVING),
        arrived=int(ours and action == "add"),
        left=int(ours and action == "remove"),
    )


def _ids(product: str | None) -> Ids | None:
    try:
        vendor, kind, _ = (product or "").split("/")
        return int(vendor, 16), int(kind, 16)
    except ValueError:
        return None
