"""When a storm of events is over and when a set is shown, on a clock that the test holds."""

from __future__ import annotations

import pytest

from licensing.seen import Reading
from tests.unit.usbwatch.rigs import CAME, KEY_CAME, KEY_WENT, WENT
from usbwatch.burst import Burst
from usbwatch.bus import KeySet, Seen
from usbwatch.heard import Heard, heard_of
from usbwatch.holding import Holding
from usbwatch.timings import UsbTimings

TIMINGS = UsbTimings(settle=0.02, leave=0.2, quiet=0.8, burst=2.0, patience=0.25)
NOTHING: KeySet = ()
PENDING: KeySet = (Seen("port 1-1", Reading.PENDING),)
READ: KeySet = (Seen("K1", Reading.FAULTY),)


@pytest.mark.parametrize(
    ("heard", "ends_at"),
    [
        (Heard(1), 10.02),
        (Heard(2), 10.02),
        (Heard(1, leaving=1), 10.2),
        (Heard(2, leaving=2), 10.2),
        (Heard(3), 10.8),
        (Heard(40, leaving=20), 10.8),
    ],
    ids=["half come", "come", "half gone", "gone", "two come", "a hub"],
)
def test_the_more_events_the_longer_the_quiet_that_ends_a_burst(heard: Heard, ends_at: float) -> None:
    """A single plug is looked at almost at once, a hub's reset when it has been quiet for a while."""
    burst = Burst(TIMINGS, now=10.0)
    burst.add(heard, now=10.0)
    assert burst.ends_at == pytest.approx(ends_at)


def test_each_event_prolongs_the_burst() -> None:
    """Events that follow one another are one burst."""
    burst = Burst(TIMINGS, now=10.0)
    burst.add(Heard(1), now=10.0)
    burst.add(Heard(1), now=10.015)
    assert burst.ends_at == pytest.approx(10.035)
    burst.add(Heard(1, leaving=1), now=10.03)
    assert burst.ends_at == pytest.approx(10.83)


def test_a_burst_that_never_ends_is_looked_at_all_the_same() -> None:
    """A device that comes and goes for ever does not hide the other keys."""
    burst = Burst(TIMINGS, now=10.0)
    for tenth in range(30):
        burst.add(Heard(2, leaving=1), now=10.0 + tenth / 10)
    assert burst.ends_at == pytest.approx(12.0)
    assert not burst.of_keys


def test_a_key_that_comes_waits_only_half_a_second_for_other_devices() -> None:
    """A device that comes and goes for ever does not hold up the plug of a key."""
    burst = Burst(UsbTimings(), now=10.0)
    for tenth in range(20):
        burst.add(KEY_CAME if tenth == 3 else WENT, now=10.0 + tenth / 10)
    assert burst.ends_at == pytest.approx(10.8)
    assert burst.of_keys


def test_a_key_that_goes_waits_only_so_long_for_other_devices() -> None:
    """A device that comes and goes for ever does not hold up the news that a key has gone."""
    burst = Burst(UsbTimings(), now=10.0)
    for tenth in range(20):
        burst.add(KEY_WENT if tenth == 3 else WENT, now=10.0 + tenth / 10)
    assert burst.ends_at == pytest.approx(11.9)


@pytest.mark.parametrize("keys", [1, 4, 8])
def test_a_hub_that_resets_is_one_burst_until_its_last_key_is_back(keys: int) -> None:
    """Keys that leave together and come back a third of a second apart are seen as one change, soon after the last."""
    burst = Burst(UsbTimings(), now=10.0)
    for _ in range(keys):
        burst.add(KEY_WENT, now=10.0)
    burst.add(WENT, now=10.0)
    burst.add(CAME, now=now_of(0))
    for number in range(1, keys + 1):
        assert burst.ends_at > now_of(number)
        burst.add(KEY_CAME, now=now_of(number))
    assert burst.ends_at == pytest.approx(now_of(keys) + UsbTimings().arrival)


def now_of(number: int) -> float:
    """Return when the key of that number comes back; 0: when the hub does."""
    return 10.3 + number / 3


@pytest.mark.parametrize(
    ("action", "product", "heard"),
    [
        ("add", "1209/a1a1/100", Heard(1, arrived=1)),
        ("remove", "1209/a1a1/100", Heard(1, leaving=1, left=1)),
        ("bind", "1209/a1a1/100", Heard(1)),
        ("unbind", "1209/a1a1/100", Heard(1, leaving=1)),
        ("add", "781/5567/126", Heard(1, arrived=1)),
        ("add", "46d/c31c/6402", Heard(1)),
        ("remove", "46d/c31c/6402", Heard(1, leaving=1)),
        ("add", None, Heard(1)),
        ("add", "12/9", Heard(1)),
        ("add", "x/y/z", Heard(1)),
    ],
    ids=["came", "went", "bound", "unbound", "zeros", "mouse", "mouse went", "nameless", "short", "no number"],
)
def test_keys_are_told_from_other_devices_by_the_kernels_name(action: str, product: str | None, heard: Heard) -> None:
    """Only devices that a driver claims count as keys; the kernel names them without leading zeros."""
    assert heard_of(action, product, {(0x1209, 0xA1A1), (0x0781, 0x5567)}) == heard


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
