"""The keyring: only well-formed keys under their own names, and one way to read them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from licensing.keyring import Keyring, KeyringInvalid, VendorKey, key_id, parse_keyring, render_keyring
from tests.unit.licensing.signing import KEYRING, KID, PINNED, day, public_key

ENTRY = {
    "kid": "34750f98bd59fcfc",
    "publicKey": "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=",
    "validFrom": "2025-01-01T00:00:00Z",
    "validUntil": "2030-01-01T00:00:00Z",
}


def parsed(*entries: Any) -> Keyring:
    """Return the keyring of these JSON entries."""
    return parse_keyring(json.dumps({"keys": entries}, indent=1).encode())


def test_the_file_form_is_fixed() -> None:
    """A keyring written by hand as documented reads as expected, in any layout."""
    assert parsed(ENTRY) == KEYRING


@pytest.mark.parametrize("changes", [{}, {"revoked": True}, {"purpose": "updates"}, {"valid_until": None}])
def test_what_is_rendered_is_read_back(changes: dict[str, Any]) -> None:
    """Rendering and parsing are each other's inverse."""
    entry = VendorKey(KID, public_key(1), **({"valid_from": day("2025-01-01")} | changes))
    assert parse_keyring(render_keyring(Keyring((entry,)))) == Keyring((entry,))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "Expecting value"),
        (b"\xff\xff", "can't decode"),
        (b"[" * 100_000, "recursion"),
        (b"[]", "array"),
        (b'{"keys": []}', "holds no key"),
        (b'{"keys": [], "keys": []}', "a member twice"),
        (b'{"keys": [], "more": 1}', "unknown field"),
        (b"{}", "missing required field `keys`"),
        (b'{"keys": [{"kid": "a", "kid": "b"}]}', "a member twice"),
    ],
)
def test_what_is_no_keyring_says_why(data: bytes, why: str) -> None:
    """A file that cannot be used is refused with the reason and a next step."""
    with pytest.raises(KeyringInvalid, match=f"(?s)not a usable keyring: .*{why}.*Install the keyring"):
        parse_keyring(data)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"kid": "0000000000000000"}, KID),
        ({"kid": KID.upper()}, "does not belong"),
        ({"publicKey": "AAAA"}, "length"),
        ({"publicKey": "!"}, "base64"),
        ({"validUntil": "2025-01-01T00:00:00Z"}, "not later than"),
        ({"validFrom": "2025-01-01T00:00:00"}, "timezone"),
        ({"revoked": "no"}, "bool"),
        ({"privateKey": "AAAA"}, "unknown field"),
    ],
)
def test_an_entry_that_contradicts_itself_is_refused(changes: dict[str, Any], why: str) -> None:
    """A key id must be its key's own, and each part must have its form."""
    with pytest.raises(KeyringInvalid, match=why):
        parsed(ENTRY | changes)


def test_a_key_is_pinned_once() -> None:
    """The same key twice is refused: two entries could disagree about it."""
    with pytest.raises(KeyringInvalid, match=f"holds key {KID} twice"):
        parsed(ENTRY, ENTRY | {"revoked": True})


def test_the_same_rules_hold_for_keys_made_in_code() -> None:
    """There is no way round the checks."""
    with pytest.raises(ValueError, match="32 bytes"):
        VendorKey(key_id(b"short"), b"short", day("2025-01-01"))
    with pytest.raises(ValueError, match="no key"):
        Keyring(())


def test_lookup_finds_a_key_by_its_id_only() -> None:
    """A known id gives its key, any other None."""
    assert KEYRING.lookup(KID) == PINNED
    assert KEYRING.lookup(KID[:8]) is None
    assert KEYRING.lookup("") is None


@pytest.mark.parametrize(
    ("issued", "covered"),
    [("2024-12-31", False), ("2025-01-01", True), ("2029-12-31", True), ("2030-01-01", False), ("2031-01-01", False)],
)
def test_a_key_covers_its_first_instant_and_not_its_last(issued: str, covered: bool) -> None:  # noqa: FBT001 - a table
    """The window includes its beginning and excludes its end."""
    assert PINNED.covers(day(issued)) is covered


def test_a_key_without_an_end_covers_all_that_follows() -> None:
    """No end means no end."""
    assert VendorKey(KID, public_key(1), day("2025-01-01")).covers(day("9999-01-01"))


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_do_worse_than_be_refused(data: bytes) -> None:
    """Whatever lies in the file, the answer is a keyring or a reason."""
    with pytest.raises(KeyringInvalid):
        parse_keyring(data)
