"""The list of drivers: who drives what."""

from __future__ import annotations

import importlib

import pytest

from usbwatch.device import Device
from usbwatch.driver import DRIVERS, Driver, KeyFault, claims_of, driver_for, driver_named, drivers_with, parse_ids

STICK = (0x0781, 0x5567)


def test_no_two_drivers_claim_one_device() -> None:
    """The registry leaves no doubt about who drives a device."""
    claims = [claim for driver in drivers_with([STICK]) for claim in driver.claims]
    assert len(claims) == len(set(claims))


def test_no_two_drivers_have_one_name() -> None:
    """A name is enough to tell a worker which driver to use."""
    assert len({driver.name for driver in DRIVERS}) == len(DRIVERS)


@pytest.mark.parametrize("driver", DRIVERS, ids=[driver.name for driver in DRIVERS])
def test_every_driver_has_its_module(driver: Driver) -> None:
    """The module that the registry names exists and can open a key."""
    assert callable(importlib.import_module(driver.module).open_key)


def test_no_stick_is_claimed_unless_it_is_listed() -> None:
    """Which sticks may be opened is for the operator to say."""
    stick = Device("1-2", 1, 2, *STICK)
    assert driver_for(stick) is None
    driver = driver_for(stick, drivers_with([STICK]))
    assert driver is not None
    assert driver.name == "mass-storage"


def test_listing_sticks_takes_nothing_away() -> None:
    """All other drivers stay as they are, and two sticks are two claims."""
    other = (0x0951, 0x1666)
    assert claims_of(drivers_with([STICK, other, STICK])) == claims_of(DRIVERS) | {STICK, other}
    assert drivers_with([]) == DRIVERS


def test_a_licence_key_cannot_be_listed_as_a_stick() -> None:
    """A device has one driver, so a mistake in the settings is told."""
    with pytest.raises(ValueError, match="1209:a1a1 is not a USB stick"):
        drivers_with([(0x1209, 0xA1A1)])


def test_a_driver_is_found_by_its_name() -> None:
    """The worker gets a name and looks it up; one that it does not know is a fault that says what to do."""
    assert [driver_named(driver.name) for driver in DRIVERS] == list(DRIVERS)
    with pytest.raises(KeyFault, match="Restart it"):
        driver_named("unheard-of")


def test_ids_are_written_as_lsusb_does() -> None:
    """Four hexadecimal digits, a colon, four more."""
    assert parse_ids("0781:5567") == STICK


def test_letters_in_ids_may_be_large() -> None:
    """Hexadecimal digits are the same in either case."""
    assert parse_ids("1d6B:AbcD") == (0x1D6B, 0xABCD)


@pytest.mark.parametrize(
    "text",
    ["", "0781", "0781:556", "0781-5567", " 0781:5567", "0781:5567\n", "0x781:5567", "0781:55678", "\u0660781:5567"],
    ids=["empty", "one", "short", "dash", "space", "newline", "prefix", "long", "digit"],
)
def test_anything_else_is_not_taken_for_ids(text: str) -> None:
    """The message says how ids are written."""
    with pytest.raises(ValueError, match="as 0781:5567"):
        parse_ids(text)
