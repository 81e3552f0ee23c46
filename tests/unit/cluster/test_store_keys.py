"""Paths in the store: where things are, and what cannot become part of a path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.keys import BadKey, Keys, last_part

KEYS = Keys("berlin-1")


def test_every_path_is_under_the_site() -> None:
    """Nothing of a site lies outside its prefix."""
    paths = [KEYS.leader, KEYS.site, KEYS.clock, KEYS.ledger, KEYS.usage, KEYS.status, KEYS.node("n"), KEYS.record(1)]
    paths += [KEYS.last_seen("n"), KEYS.drain("n"), KEYS.inbox("u"), KEYS.outcome("u"), KEYS.record_by("issued", 1, 1)]
    assert len(set(paths)) == len(paths)
    assert all(path.startswith("/twinkey/berlin-1/") for path in paths)


def test_records_are_in_order_of_their_numbers() -> None:
    """The order of keys is the order of records."""
    numbers = [0, 2, 9, 10, 99, 100, 10**11]
    assert sorted(map(KEYS.record, reversed(numbers))) == [KEYS.record(number) for number in numbers]


def test_the_orders_by_date_are_sorted_by_second_then_number() -> None:
    """The order of keys is that of the dates, and they come after all numbers, under the prefix of the records."""
    places = [(-5, 0), (0, 1), (9, 2), (10, 1), (10, 3), (10**11, 0)]
    paths = [KEYS.record_by("issued", second, number) for second, number in places]
    assert sorted(paths) == paths
    assert all(path.startswith(KEYS.records_by("issued")) and path > KEYS.record(10**12 - 1) for path in paths)
    assert KEYS.records_by("issued").startswith(KEYS.records)


def test_the_last_part_of_a_path_is_its_id() -> None:
    """An id can be read back from its path."""
    assert (last_part(KEYS.node("abc-1")), last_part(KEYS.record(7))) == ("abc-1", "000000000007")


@pytest.mark.parametrize("bad", ["", "a/b", "../a", ".", "a b", "a\n", "\x00", "a\x7f", "ä", "-a", "a" * 129])
def test_what_could_leave_its_place_is_refused(bad: str) -> None:
    """No identifier reaches out of its place, whichever method it is given to."""
    for make in (Keys, KEYS.node, KEYS.last_seen, KEYS.inbox, KEYS.outcome):
        with pytest.raises(BadKey, match="letters, digits"):
            make(bad)


@given(st.text(max_size=140))
def test_a_path_that_is_made_has_one_more_part(text: str) -> None:
    """Whatever text becomes a node's path, it is exactly one part of it."""
    try:
        path = KEYS.node(text)
    except BadKey:
        return
    assert path.split("/") == ["", "twinkey", "berlin-1", "nodes", text]


@pytest.mark.parametrize("number", [-1, 10**12])
def test_a_record_number_has_its_limits(number: int) -> None:
    """A number that would break the order is refused."""
    with pytest.raises(BadKey, match="record number"):
        KEYS.record(number)
