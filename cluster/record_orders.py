"""The orders in which records are shown, so that the n-th is found without asking the store.

The store has no offset, and it counts a range by walking through it. In order of number nothing needs to be kept; the
orders by date are kept as two whole numbers for each record.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain

from cluster.keys import RECORD_NUMBERS, Keys
from cluster.store import Store

_BATCH = 1000
"""Keys read at once: some milliseconds of work in which nothing else is done."""
_LAST_SECOND = 253_402_300_799  # of the year 9999
_DAY = 86_400
_DIGITS = len(str(RECORD_NUMBERS - 1))


class ByNumber:
    """Records in order of number: those of some ranges, between which there are none."""

    def __init__(self, spans: Sequence[range]) -> None:
        self._spans = spans

    def __len__(self) -> int:
        """Return how many there are."""
        return sum(map(len, self._spans))

    def __iter__(self) -> Iterator[int]:
        """Go through the numbers."""
        return chain.from_iterable(self._spans)

    def part(self, first: int, end: int) -> list[int]:
        """Return the numbers of the `first`-th to before the `end`-th record."""
        found = list[int]()
        for span in self._spans:
            found += span[max(first, 0) : max(end, 0)]
            first, end = first - len(span), end - len(span)
        return found


class ByDate:
    """Records in order of a date, in whole seconds, and those of one second in order of number.

    It takes 16 bytes for each.
    """

    def __init__(self) -> None:
        self._seconds, self._numbers = array("q"), array("q")

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._numbers)

    def __iter__(self) -> Iterator[int]:
        """Go through the numbers."""
        return iter(self._numbers)

    def part(self, first: int, end: int) -> list[int]:
        """Return the numbers of the `first`-th to before the `end`-th record."""
        return self._numbers[first:end].tolist()

    def extend(self, places: Sequence[tuple[int, int]]) -> None:
        """Take in the seconds and numbers of records that come after all others, in order."""
        self._seconds.extend([second for second, _ in places])
        self._numbers.extend([number for _, number in places])

    def add(self, second: int, number: int) -> None:
        """Take in one record, whose number is higher than those of the same second."""
        place = bisect_right(self._seconds, second)
        self._seconds.insert(place, second)
        self._numbers.insert(place, number)


RecordOrder = ByNumber | ByDate


async def read_by_date(store: Store, keys: Keys, date: str, count: int) -> ByDate:
    """Read the order by a date of the records whose numbers are below `count`; keys that are none of ours do not count.

    Each call asks for as many seconds as should hold two batches, which are few where the records are: the store would
    walk through all that it is asked for.

    Raises:
        StoreError
    """
    order, prefix = ByDate(), keys.records_by(date)
    start, second, seconds = keys.record_by(date, 0, 0), 0, _DAY
    while second <= _LAST_SECOND:
        beyond = min(second + seconds, _LAST_SECOND + 1)
        entries = await store.page(start, keys.record_by(date, beyond, 0), _BATCH)
        places = [place for entry in entries if (place := _place(entry.key.removeprefix(prefix)))]
        order.extend([place for place in places if place[1] < count])
        if len(entries) < _BATCH:
            start, second, seconds = keys.record_by(date, beyond, 0), beyond, 2 * seconds
            continue
        start = entries[-1].key + "\0"
        if places:
            second, seconds = places[-1][0], max(2 * (places[-1][0] - places[0][0]), 1)
    return order


async def read_by_number(store: Store, keys: Keys) -> ByNumber:
    """Read which numbers there are records of; keys that are none of ours do not count.

    Raises:
        StoreError
    """
    spans, start = list[range](), keys.record(0)
    while entries := await store.page(start, keys.records_end, _BATCH):
        start = entries[-1].key + "\0"
        for number in (int(tail) for entry in entries if _is_number(tail := entry.key.removeprefix(keys.records))):
            if spans and spans[-1].stop == number:
                spans[-1] = range(spans[-1].start, number + 1)
            else:
                spans.append(range(number, number + 1))
    return ByNumber(spans)


def _place(tail: str) -> tuple[int, int] | None:
    """Return the second and the number that the end of a key stands for; None for a key that is none of ours."""
    second, _, number = tail.partition("~")
    return (int(second), int(number)) if _is_number(second) and _is_number(number) else None


def _is_number(text: str) -> bool:
    return len(text) == _DIGITS and text.isascii() and text.isdecimal()
