"""When a storm of events is over and when a set is shown, on a clock that the test holds."""

from __future__ import annotations

import pytest

from licensing.model import Reading
from usbwatch.burst import Burst
from usbwatch.bus import KeySet, Seen
from usbwatch.holding import Holding
from usbwatch.timings import UsbTimings

TIMINGS = UsbTimings(settle=0.02, leave=0.2, quiet=0.8, burst=2.0, patience=0.25)
NOTHING: KeySet = ()
PENDING: KeySet = (Seen("port 1-1", Reading.PENDING),)
READ: KeySet = (Seen("K1", Reading.FAULTY),)


@pytest.mark.parametrize(
    ("events", "leaving", "ends_at"),
    [(1, 0, 10.02), (2, 0, 10.02), (1, 1, 10.2), (2, 2, 10.2), (3, 0, 10.8), (40, 20, 10.8)],
    ids=["half come", "come", "half gone", "gone", "two come", "a hub"],
)
def test_the_more_events_the_longer_the_quiet_that_ends_a_burst(events: int, leaving: int, ends_at: float) -> None:
    """A single plug is looked at almost at once, a hub's reset when it has been quiet for a while."""
    burst = Burst(TIMINGS, now=10.0)
    burst.add(events, leaving, now=10.0)
    assert burst.ends_at == pytest.approx(ends_at)


def test_each_event_prolongs_the_burst() -> None:
    """Events that follow one another are one burst."""
    burst = Burst(TIMINGS, now=10.0)
    burst.add(1, 0, now=10.0)
    burst.add(1, 0, now=10.015)
    assert burst.ends_at == pytest.approx(10.035)
    burst.add(1, 1, now=10.03)
    assert burst.ends_at == pytest.approx(10.83)


def test_a_burst_that_never_ends_is_looked_at_all_the_same() -> None:
    """A device that comes and goes for ever does not hide the other keys."""
    burst = Burst(TIMINGS, now=10.0)
    for tenth in range(30):
        burst.add(2, 1, now=10.0 + tenth / 10)
    assert burst.ends_at == pytest.approx(12.0)


def test_a_set_to_which_nothing_is_to_come_is_shown_at_once() -> None:
    """Nobody waits without a reason."""
    assert Holding(0.25).due(NOTHING, 10.0, to_come=0) == 10.0


def test_a_set_is_held_back_while_more_is_to_come() -> None:
    """A key whose reading runs waits for it until one's patience is at an end."""
    holding = Holding(0.25)
    assert holding.due(PENDING, 10.0, to_come=1) == 10.25
    assert holding.due(PENDING, 10.2, to_come=1) == 10.25
    assert holding.due(PENDING, 10.3, to_come=1) == 10.3


def test_many_readings_are_given_more_time_and_keep_it() -> None:
    """A hub full of keys cannot be read as quickly as one key, and the last of them still has that time."""
    holding = Holding(0.25)
    assert holding.due(PENDING, 10.0, to_come=8) == 11.0
    assert holding.due(PENDING, 10.3, to_come=1) == 11.0


def test_a_set_that_is_finished_need_not_wait_for_the_end_of_patience() -> None:
    """The finished set replaces the one that was held back."""
    holding = Holding(0.25)
    holding.due(PENDING, 10.0, to_come=1)
    assert holding.due(READ, 10.1, to_come=0) == 10.1


def test_a_set_that_is_as_it_was_is_not_shown_again() -> None:
    """A key that leaves and comes back meanwhile is no news, and the next change has the whole patience."""
    holding = Holding(0.25)
    holding.shown(READ)
    assert holding.due(PENDING, 10.0, to_come=1) == 10.25
    assert holding.due(READ, 10.1, to_come=0) is None
    assert holding.due(PENDING, 20.0, to_come=1) == 20.25


def test_the_first_set_is_news_even_when_it_is_empty() -> None:
    """An empty bus is told too, once."""
    holding = Holding(0.25)
    assert holding.due(NOTHING, 1.0, to_come=0) == 1.0
    holding.shown(NOTHING)
    assert holding.due(NOTHING, 2.0, to_come=0) is None
