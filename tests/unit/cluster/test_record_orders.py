"""The orders of records: however numbers and dates are spread, each key is in its place, and few calls find them."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.keys import RECORD_NUMBERS, Keys
from cluster.memory import MemoryCluster
from cluster.record_orders import ByDate, ByNumber, read_by_date, read_by_number
from cluster.store import Put

KEYS = Keys("s")
LAST_SECOND = 253_402_300_799

_clusters = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 3), st.integers(0, 2 * 10**9), st.just(LAST_SECOND)),  # second
        st.one_of(st.integers(0, 3), st.integers(0, RECORD_NUMBERS - 10**7)),  # first number
        st.integers(1, 2500),  # how many
        st.sampled_from([0, 1, 1000]),  # seconds from one to the next
    ),
    min_size=1,
    max_size=4,
)


def store_of(keys: list[str]) -> MemoryCluster:
    """Return a store with these keys."""
    cluster = MemoryCluster()
    cluster.apply([Put(key, b"") for key in keys])
    return cluster


@settings(max_examples=40, deadline=None)
@given(_clusters, st.integers(0, 10**4))
def test_an_order_by_date_is_read_whole(clusters: list[tuple[int, int, int, int]], count: int) -> None:
    """Wherever the dates are, all numbers below the count come once, in order, and no key without end."""
    places = sorted(
        {
            (min(second + apart * number, LAST_SECOND), first + number)
            for second, first, many, apart in clusters
            for number in range(many)
        }
    )
    cluster = store_of([KEYS.record_by("issued", *place) for place in places])
    for below in count, RECORD_NUMBERS:
        order = asyncio.run(read_by_date(cluster.client(), KEYS, "issued", below))
        assert list(order) == [number for _, number in places if number < below]


async def test_strange_keys_do_not_hold_up_the_reading() -> None:
    """More of them than are read at once, within one second and in front of all, are passed over."""
    strange = [f"{KEYS.record_by('issued', 7, 1)}{number:04d}" for number in range(2500)]
    ours = [KEYS.record_by("issued", second, second) for second in (3, 7, 9)]
    order = await read_by_date(store_of([*strange, *ours]).client(), KEYS, "issued", RECORD_NUMBERS)
    assert list(order) == [3, 7, 9]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=40))
def test_records_are_added_where_they_belong(dates: list[tuple[int, int]]) -> None:
    """As if the order had been read with them."""
    order = ByDate()
    known = sorted((second, number) for number, (second, _) in enumerate(dates))
    order.extend(known)
    news = [(second, len(dates) + number) for number, (_, second) in enumerate(dates)]
    for second, number in news:
        order.add(second, number)
    assert list(order) == [number for _, number in sorted([*known, *news])]
    assert len(order) == len(known) + len(news)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=6), st.integers(0, 40), st.integers(0, 10))
def test_a_part_of_the_numbers_skips_what_is_between_the_ranges(
    spans: list[tuple[int, int]], first: int, size: int
) -> None:
    """As if all numbers had been written down."""
    ranges, at = list[range](), 0
    for gap, length in spans:
        ranges.append(range(at + gap, at + gap + length))
        at = ranges[-1].stop
    order = ByNumber(ranges)
    numbers = [number for each in ranges for number in each]
    assert (list(order), len(order)) == (numbers, len(numbers))
    assert order.part(first, first + size) == numbers[first : first + size]


@given(st.sets(st.integers(0, 30)))
def test_the_numbers_that_there_are_are_found(numbers: set[int]) -> None:
    """With all gaps, and nothing of what has no number."""
    strange = [f"{KEYS.records}{tail}" for tail in ("1", "00000000000x", "0000000000001", "~issued/000000000007")]
    cluster = store_of([*strange, *map(KEYS.record, numbers)])
    assert list(asyncio.run(read_by_number(cluster.client(), KEYS))) == sorted(numbers)
