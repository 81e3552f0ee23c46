"""Which clocks are believed: the rule of two of three as a table."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.clocks_agree import Shown, effective
from tests.unit.coordinator.stored import NOW

LIMIT = dt.timedelta(seconds=300)
YEAR = 365 * 86_400
MONTH = 30 * 86_400

# own, other, members, alone, and what effective time is: all in seconds after what it is held at
TABLE: dict[str, tuple[float, float | None, tuple[float, ...], bool, float]] = {
    "right": (0, 0, (0, 0), False, 0),
    "a little ahead": (299, None, (), False, 299),
    "at the limit": (300, None, (), False, 300),
    "over the limit": (300.001, None, (), False, 0),
    "over the limit and nobody agrees": (301, 0, (0, 0), False, 0),
    "a year ahead, nobody else there": (YEAR, None, (), False, 0),
    "a year ahead, the others right": (YEAR, 0, (0, 1), False, 0),
    "a year ahead, the other node too": (YEAR, YEAR, (), False, YEAR),
    "a year ahead, the witness too": (YEAR, None, (YEAR,), False, YEAR),
    "a year ahead, the witness against the other node": (YEAR, 0, (YEAR,), False, YEAR),
    "a year ahead, the other node against the witness": (YEAR, YEAR, (0,), False, YEAR),
    "off for a month": (MONTH, MONTH - 2, (MONTH, MONTH + 1), False, MONTH),
    "agreement at the limit": (YEAR, YEAR - 300, (), False, YEAR),
    "agreement over the limit": (YEAR, YEAR - 300.001, (), False, 0),
    "agreement over the limit, later": (YEAR, YEAR + 300.001, (), False, 0),
    "three different clocks": (YEAR, MONTH, (0,), False, 0),
    "the other node alone says that it is later": (0, YEAR, (), False, 0),
    "the other node and its own member say that it is later": (0, YEAR, (YEAR, 0), False, 0),
    "that, while the witness is away": (0, YEAR, (YEAR,), False, 0),
    "both members say that it is later": (0, None, (MONTH, MONTH + 2), False, MONTH),
    "both members say a little later": (0, None, (299, 300), False, 0),
    "own clock behind, both members later": (-YEAR, MONTH, (MONTH, MONTH), False, MONTH),
    "own clock too late, both members right": (YEAR, None, (MONTH, MONTH), False, MONTH),
    "set back": (-YEAR, -YEAR, (-YEAR, -YEAR), False, 0),
    "switched off alone": (MONTH, None, (), True, MONTH),
}


def at(seconds: float) -> dt.datetime:
    """Return the time so many seconds after what is held."""
    return NOW + dt.timedelta(seconds=seconds)


@pytest.mark.parametrize("case", TABLE)
def test_two_of_three_clocks_are_believed(case: str) -> None:
    """Time goes on from what was seen unless two clocks on different machines say that it is later."""
    own, other, members, alone, expected = TABLE[case]
    shown = Shown(NOW, at(own), None if other is None else at(other), tuple(map(at, members)), alone)
    assert (effective(shown, LIMIT) - NOW).total_seconds() == expected


@pytest.mark.parametrize(
    ("own", "members", "expected"),
    [(5, (), 5), (YEAR, (0, 2), 0), (-YEAR, (0, 2), 0), (YEAR, (0,), YEAR), (4, (0, 2), 4), (301, (0, 0), 0)],
    ids=["alone", "wrong", "behind", "one-against-one", "right", "limit"],
)
def test_a_first_start_believes_its_own_clock_unless_two_others_agree(
    own: float, members: tuple[float, ...], expected: float
) -> None:
    """Without a mark there is nothing to compare with but other machines."""
    assert effective(Shown(None, at(own), members=tuple(map(at, members))), LIMIT) == at(expected)


_SECONDS = st.integers(-2 * YEAR, 2 * YEAR)


@given(_SECONDS, st.none() | _SECONDS, st.lists(_SECONDS, max_size=3), st.booleans())
def test_one_wrong_clock_moves_nothing(own: int, other: int | None, members: list[int], alone: object) -> None:
    """Effective time is never before what is held, and beyond the limit never what one clock says alone."""
    shown = Shown(NOW, at(own), None if other is None else at(other), tuple(map(at, members)), bool(alone))
    late = effective(shown, LIMIT)
    assert late >= NOW
    if late > NOW + LIMIT and not alone:
        clocks = [each for each in (shown.own, shown.other, *shown.members) if each is not None]
        assert sum(abs(clock - late) <= LIMIT for clock in clocks) >= 2
