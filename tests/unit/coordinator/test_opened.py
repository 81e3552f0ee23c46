"""Licences that were verified are remembered as long as they are stored."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from coordinator.opened import OpenedLicences
from licensing.envelope import LicenceRefused
from licensing.ledger import Ledger
from licensing.seen import InsertedKey, NodeView, Reading, Visibility
from tests.unit.coordinator.stored import NOW, A, B, history, sealed, signed
from tests.unit.licensing.signing import KEYRING

FILE, OTHER, PENDING, INSTALLED = sealed("K1"), sealed("K2"), sealed("K3"), sealed("K4")
LEDGER = Ledger(
    keys=(history("K1", pending=signed(PENDING)),),
    installed=(replace(signed(INSTALLED), uploaded_at=NOW, node=A, who="admin"),),
)
VIEWS = (NodeView(B, B, Visibility.LIVE, keys=(InsertedKey("K2", Reading.OK, licence=signed(OTHER)),)),)


def test_what_is_stored_is_known_as_if_it_was_opened_just_now() -> None:
    """Wherever a licence is stored, it is remembered without what was noted of its installation."""
    opened = OpenedLicences(KEYRING)
    opened.keep(LEDGER, VIEWS)
    for file in (FILE, OTHER, PENDING, INSTALLED):
        assert opened.known(file) == OpenedLicences(KEYRING).open(file)
        assert opened.open(file) is opened.known(file)


def test_what_is_stored_no_longer_is_forgotten() -> None:
    """What is remembered cannot grow beyond what is stored."""
    opened = OpenedLicences(KEYRING)
    opened.keep(LEDGER, VIEWS)
    opened.keep(None, VIEWS)
    assert (opened.known(FILE), opened.known(OTHER)) == (None, signed(OTHER))
    opened.keep(None, ())
    assert opened.known(OTHER) is None


def test_a_damaged_file_is_refused_although_the_whole_one_is_known() -> None:
    """One byte makes another file."""
    opened = OpenedLicences(KEYRING)
    opened.keep(LEDGER, VIEWS)
    with pytest.raises(LicenceRefused):
        opened.open(FILE.replace(b"signature: ", b"signature: A", 1))
