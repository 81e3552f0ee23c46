"""Where the n-th of many keys is, found by counting: the store has no offset, and reading up to it would be slow.

The store counts keys without reading them. Each round counts the parts of a range and goes on with the part that holds
the key, so that it takes a few calls whether the key is the first, the last or in the middle. Knows nothing of what
is stored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from cluster.keys import RECORD_NUMBERS
from cluster.store import Part, Store

STRIDE = RECORD_NUMBERS
"""Positions per second."""

NEAR = 100
"""So many keys are rather read and skipped than located more closely."""

_CENTURY = 100 * 366 * 24 * 3600 * STRIDE
_FINE = 90
_COARSE = 10


@dataclass(frozen=True, slots=True)
class Line:
    """Keys in order of whole numbers, their positions: those under `prefix`, from 0 to before `end`.

    `key` makes a key of a position, and of `end` one that comes after all. A position is a second times `STRIDE` plus
    a number below `STRIDE`; lines without seconds are in second 0.
    """

    prefix: str
    key: Callable[[int], str]
    end: int

    async def whole(self, store: Store) -> Part:
        """Return how many keys there are, and the first.

        Raises:
            StoreError
        """
        (part,) = await store.parts((self.key(0), self.key(self.end)))
        return part

    def position(self, key: str | None, otherwise: int) -> int:
        """Return the position of a key; `otherwise` for None and for a key that is none of ours."""
        digits = (key or "").removeprefix(self.prefix).replace("~", "")
        position = int(digits) if digits.isdecimal() else otherwise
        return position if self.key(position) == key else otherwise


async def locate(store: Store, line: Line, whole: Part, rank: int) -> tuple[str, int]:
    """Return a key to read from and how many entries to skip, hardly ever more than `NEAR`, to come to the `rank`-th.

    Ranks count from 0. Keys that come or go meanwhile may move the result by as many.

    Raises:
        StoreError
    """
    low, high, skip = line.position(whole.first, 0), line.end, rank
    while skip > NEAR and high - low > 1:
        bounds = _bounds(low, high, skip, whole.count)
        parts = await store.parts([line.key(bound) for bound in bounds])
        for (start, end), part in zip(pairwise(bounds), parts, strict=True):
            if skip < part.count:
                low, high = line.position(part.first, start), end
                break
            skip -= part.count
        else:
            return line.key(line.end), 0  # keys went away meanwhile
    return line.key(low), skip


def _bounds(low: int, high: int, skip: int, total: int) -> list[int]:
    """Divide a range that begins at a key into parts: the rest of its first second, then whole seconds.

    What lies within one second is divided by numbers, of which few are expected to be left out.
    """
    second = (low // STRIDE + 1) * STRIDE
    if second < high:
        return sorted({low, *_parts(second, high, _CENTURY, STRIDE), high})
    return sorted({*_parts(low, high, total, 1), min(low + skip, high), high})


def _parts(low: int, high: int, expected: int, unit: int) -> list[int]:
    """Divide the part where the keys are expected finely, and what is beyond it coarsely."""
    near = min(low + expected, high)
    return [*_equal(low, near, _FINE, unit), *_equal(near, high, _COARSE, unit)]


def _equal(low: int, high: int, parts: int, unit: int) -> range:
    step = -((low - high) // (parts * unit)) * unit
    return range(low, high, max(step, unit))
