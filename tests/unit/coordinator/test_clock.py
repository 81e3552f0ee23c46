"""Effective time: what the hands of the wall clock may do to it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from coordinator.clock import THRESHOLD, EffectiveClock, boot_clock, wall_clock
from tests.unit.coordinator.stored import DAY, NOW, SECOND, Hands


def test_effective_time_is_the_wall_clock_as_long_as_nothing_is_wrong() -> None:
    """With a right clock effective time is what it shows."""
    hands = Hands()
    clock = hands.clock()
    assert clock.now() == NOW
    hands.pass_by(3 * SECOND)
    assert (clock.now(), clock.set_back) == (NOW + 3 * SECOND, False)


def test_a_clock_set_back_is_held_up_and_noticed() -> None:
    """Effective time goes on at its own pace while the wall clock is behind."""
    hands = Hands()
    clock = hands.clock()
    clock.now()
    hands.at -= DAY
    assert (clock.now(), clock.set_back) == (NOW, True)
    hands.pass_by(5 * SECOND)
    assert clock.now() == NOW + 5 * SECOND
    hands.at += DAY
    assert (clock.now(), clock.set_back) == (NOW + 5 * SECOND, False)


def test_a_high_water_mark_holds_time_up() -> None:
    """A mark that was stored by whoever led before counts, plus the time since; an older one changes nothing."""
    hands = Hands()
    clock = hands.clock()
    clock.saw(NOW + DAY)
    hands.pass_by(SECOND)
    clock.saw(NOW - DAY)
    assert (clock.now(), clock.set_back) == (NOW + DAY + SECOND, True)


def test_a_second_is_no_set_back() -> None:
    """What slewing and skew may do is not told as a clock that was set back."""
    hands = Hands()
    clock = hands.clock()
    clock.saw(NOW + SECOND)
    assert not clock.set_back
    clock.saw(NOW + 1.001 * SECOND)
    assert clock.set_back


def test_a_clock_within_the_threshold_is_followed() -> None:
    """What NTP may set is no leap; a millisecond more is."""
    hands = Hands()
    clock = hands.clock()
    clock.saw(NOW)
    hands.at += THRESHOLD
    assert (clock.now(), clock.quarantined) == (NOW + THRESHOLD, False)
    hands.at += THRESHOLD + SECOND / 1000
    assert (clock.now(), clock.quarantined, clock.set_back) == (NOW + THRESHOLD, True, False)


def test_a_leap_is_held_until_somebody_says_that_it_is_right() -> None:
    """Quarantined, time goes on at its own pace; a mark that is believed ends that, and so does a clock put right."""
    hands = Hands()
    clock = hands.clock()
    clock.saw(NOW)
    hands.at += DAY
    hands.pass_by(5 * SECOND)
    assert (clock.now(), clock.quarantined, clock.ahead) == (NOW + 5 * SECOND, True, DAY)
    hands.at -= DAY
    assert (clock.now(), clock.quarantined) == (NOW + 5 * SECOND, False)
    hands.at += DAY
    clock.saw(NOW + DAY)
    assert (clock.now(), clock.quarantined) == (NOW + DAY + 5 * SECOND, False)


def test_what_was_told_before_any_mark_was_read_is_taken_back() -> None:
    """A coordinator that starts with a clock a day ahead has nothing to hold on to when it reads the first mark."""
    hands = Hands(NOW + DAY)
    clock = hands.clock()
    assert clock.now() == NOW + DAY
    clock.saw(NOW)
    assert (clock.now(), clock.quarantined) == (NOW, True)
    clock.saw(NOW + 2 * DAY)
    clock.saw(NOW)
    assert clock.now() == NOW + 2 * DAY


def test_a_first_mark_may_be_old() -> None:
    """An idle leader writes a mark now and then, so the first one read allows for that; later leaps get no more."""
    hands = Hands(NOW + 800 * SECOND)
    clock = EffectiveClock(hands.wall, hands.boot, mark_age=600 * SECOND)
    clock.now()
    clock.saw(NOW)
    assert (clock.now(), clock.quarantined) == (NOW + 800 * SECOND, False)
    hands.at += 800 * SECOND
    assert (clock.now(), clock.quarantined) == (NOW + 800 * SECOND, True)


_STEPS = st.lists(st.tuples(st.integers(-(10**6), 10**6), st.integers(0, 10**6), st.booleans()), max_size=20)


@given(_STEPS)
def test_effective_time_never_goes_back(steps: list[tuple[int, int, bool]]) -> None:
    """Whatever hands and marks do, each look is at least the one before plus the time since."""
    hands = Hands()
    clock = hands.clock()
    clock.saw(NOW)
    before = clock.now()
    for wall, passed, marked in steps:
        hands.at += wall * SECOND / 1000
        hands.up += passed / 1000
        if marked:
            clock.saw(NOW + wall * SECOND / 1000)
        now = clock.now()
        assert now >= (before if clock.quarantined else max(before, hands.at))
        assert clock.quarantined == (hands.at - now > THRESHOLD)
        assert (now - before).total_seconds() >= passed / 1000 - 0.0021
        before = now


def test_the_machines_own_clocks_run() -> None:
    """By default the clock is the machine's, in UTC and to the millisecond."""
    now = EffectiveClock().now()
    assert abs(now - wall_clock()) < SECOND
    assert (now.utcoffset(), now.microsecond % 1000) == (0 * SECOND, 0)
    assert boot_clock() > 0
