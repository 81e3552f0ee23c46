"""Named timelines, values by hand: what a removal grants, inherits and leaves behind."""

from __future__ import annotations

import pytest

from tests.unit.law.playing import KEYS, after, licence, told

PULLED = ("1d plug a K1", "2d unplug a K1")


def test_the_first_removal_grants_thirty_days() -> None:
    """The buffer ends thirty days after the beginning of the removal, to the second, and then stays in the past."""
    assert told(after(*PULLED, "32d-1s observe")) == "Missing, K1 Valid, buffer 32d"
    assert told(after(*PULLED, "32d observe")) == "Missing, K1 Expired, buffer 32d"
    assert told(after(*PULLED, "90d observe")) == "Missing, K1 Expired, buffer 32d"


@pytest.mark.parametrize(
    ("second", "short"),
    [
        ("10d", "Missing, K1 Valid, buffer 32d"),
        ("40d", "Missing, K1 Expired, buffer 32d"),
        ("62d-1s", "Missing, K1 Expired, buffer 32d"),
        ("62d", "Missing, K1 Valid, buffer 122d"),
        ("100d", "Missing, K1 Valid, buffer 160d"),
    ],
)
def test_the_second_removal_depends_on_the_time_since_the_last(second: str, short: str) -> None:
    """Less than sixty days inherits the previous end, even a past one; sixty days exactly grants sixty."""
    assert told(after(*PULLED, "3d plug a K1", f"{second} unplug a K1", f"{second}+60s observe")) == short


def test_a_removal_that_granted_nothing_still_counts_as_the_last() -> None:
    """The sixty days count from the most recent removal, so pulling again and again puts the next buffer off."""
    again = ("3d plug a K1", "50d unplug a K1", "51d plug a K1")
    assert told(after(*PULLED, *again, "109d unplug a K1", "110d observe")) == "Missing, K1 Expired, buffer 32d"
    assert told(after(*PULLED, *again, "110d unplug a K1", "111d observe")) == "Missing, K1 Valid, buffer 170d"


def test_a_plug_and_unplug_loop_grants_one_buffer() -> None:
    """Ten removals in ten days have the end of the first."""
    loop = [f"{day}d {deed} a K1" for day in range(3, 23) for deed in (("plug", "unplug")[(day + 1) % 2],)]
    assert told(after(*PULLED, *loop, "23d observe")) == "Missing, K1 Valid, buffer 32d"
    assert told(after(*PULLED, *loop, "32d observe")) == "Missing, K1 Expired, buffer 32d"


def test_fault_counts_as_a_removal_of_the_key_in_use() -> None:
    """A broken key has the same history as a pulled one."""
    fault = ("1d plug a K1", "2d break K1", "3d repair K1", "10d unplug a K1", "11d observe")
    assert told(after(*fault)) == "Missing, K1 Valid, buffer 32d"


def test_an_expired_licence_gets_no_buffer() -> None:
    """Removal after the expiry: Expired stays Expired."""
    papers = [licence("K1", "K1", expires="10d")]
    late = ("1d plug a K1", "10d unplug a K1", "11d observe")
    assert told(after(*late, licences=papers)) == "Missing, K1 Expired"


@pytest.mark.parametrize("node", ["a", "b"])
def test_another_key_shows_its_licence_and_voids_the_buffer(node: str) -> None:
    """A valid newcomer takes over at once, though its licence is older; its own first removal grants thirty days."""
    papers = [licence("K1", "K1", issued="-10d"), licence("K2", "K2", issued="-300d")]
    swap = (*PULLED, f"5d plug {node} K2")
    assert told(after(*swap, licences=papers)) == "Ready, K2 Valid"
    assert told(after(*swap, "40d observe", licences=papers)) == "Ready, K2 Valid"
    assert (
        told(after(*swap, f"50d unplug {node} K2", "51d observe", licences=papers)) == "Missing, K2 Valid, buffer 80d"
    )


def test_an_unreadable_newcomer_does_not_void_the_buffer() -> None:
    """The site is in Fault and the buffer of the old key runs on."""
    assert told(after(*PULLED, "5d plug a X")) == "Fault, K1 Valid, buffer 32d"
    assert told(after(*PULLED, "5d plug a X", "32d observe")) == "Fault, K1 Expired, buffer 32d"


def test_an_expired_newcomer_does_not_void_the_buffer() -> None:
    """The lone newcomer is Normal, and the buffer of the old key runs on."""
    papers = [*KEYS, licence("OLD", "OLD", issued="-90d", expires="4d")]
    assert told(after(*PULLED, "5d plug a OLD", licences=papers)) == "Ready, K1 Valid, buffer 32d"
    assert told(after(*PULLED, "5d plug a OLD", "32d-1s observe", licences=papers)) == "Ready, K1 Valid, buffer 32d"


def test_a_swap_without_removed_between_is_a_removal_of_the_old_key() -> None:
    """The new key goes in before the old one comes out; the old one's history has a removal all the same."""
    swap = ("1d plug a K1", "2d plug b K2", "3d unplug a K1")
    assert told(after(*swap)) == "Ready, K2 Valid"
    back = (*swap, "10d plug a K1", "11d unplug b K2", "20d unplug a K1", "21d observe")
    assert told(after(*back)) == "Missing, K1 Valid, buffer 33d"


def test_a_swap_to_an_expired_key_runs_the_buffer_of_the_old_one() -> None:
    """An expired newcomer that stays behind does not stand in for the key in use."""
    papers = [*KEYS, licence("OLD", "OLD", issued="-90d", expires="1d")]
    swap = ("1d plug a K1", "2d plug b OLD", "3d unplug a K1")
    assert told(after(*swap, licences=papers)) == "Ready, K1 Valid"
    assert told(after(*swap, "3d+60s observe", licences=papers)) == "Ready, K1 Valid, buffer 33d"


def test_the_same_key_put_back_is_normal_again() -> None:
    """Its licence is in force without a buffer, even when the buffer had run out."""
    assert told(after(*PULLED, "5d plug b K1")) == "Ready, K1 Valid"
    assert told(after(*PULLED, "50d plug b K1")) == "Ready, K1 Valid"


def test_removal_history_is_kept_per_key() -> None:
    """Another key's removals do not use up the first removal of this one, nor does its being in use forget them."""
    two = (*PULLED, "5d plug a K2", "6d unplug a K2", "7d observe")
    assert told(after(*two)) == "Missing, K2 Valid, buffer 36d"
    assert told(after(*two, "8d plug a K1", "9d unplug a K1", "10d observe")) == "Missing, K1 Valid, buffer 32d"


def test_a_buffer_never_outlives_its_licence() -> None:
    """What is shown and used is capped by the licence's own expiry."""
    papers = [licence("K1", "K1", expires="20d")]
    assert told(after(*PULLED, "20d-1s observe", licences=papers)) == "Missing, K1 Valid, buffer 20d"
    assert told(after(*PULLED, "20d observe", licences=papers)) == "Missing, K1 Expired, buffer 20d"


def test_the_history_keeps_the_uncapped_date() -> None:
    """A longer licence installed later inherits the whole buffer."""
    papers = [licence("K1", "K1", expires="20d"), licence("K1-longer", "K1", issued="-1d", expires="300d")]
    renewed = (*PULLED, "5d plug a K1", "6d install K1-longer", "7d unplug a K1", "8d observe")
    assert told(after(*renewed, licences=papers)) == "Missing, K1-longer Valid, buffer 32d"
