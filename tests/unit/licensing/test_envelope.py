"""The licence file: one byte form, whose every alteration is noticed and named for what it is."""

from __future__ import annotations

import datetime as dt
import re
import struct
from base64 import b64decode, b64encode
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from licensing import canonical
from licensing.envelope import MAX_BYTES, LicenceRefused, Refusal, open_licence, peek, seal, seal_payload
from licensing.keyring import Keyring, VendorKey, key_id
from licensing.licence import BuiltIn, Edition, KeyBinding, Quota, SignedLicence
from tests.unit.licensing.signing import AT_SITE, KEYRING, KID, PINNED, VENDOR, day, licence, private_key, public_key

SAMPLE = seal(licence(), KID, VENDOR)
PAYLOAD = canonical.encode(licence())


def outcome(data: bytes, keyring: Keyring = KEYRING) -> SignedLicence | LicenceRefused:
    """Return what comes of opening a file."""
    try:
        return open_licence(data, keyring)
    except LicenceRefused as refused:
        return refused


def refusal(data: bytes, keyring: Keyring = KEYRING) -> LicenceRefused:
    """Return why a file is refused, which it must be."""
    why = outcome(data, keyring)
    assert isinstance(why, LicenceRefused)
    return why


# --- what is accepted ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"binding": AT_SITE},
        {"binding": KeyBinding("K1", public_key(7))},
        {"service_expires": day("2026-06-01")},
        {"edition": Edition.BASIC_TRIAL, "quota": Quota()},
        {"name": 'line\nfeed, "quotes" and \u2028'},
        {"issued": PINNED.valid_from, "not_before": PINNED.valid_from},
    ],
)
def test_a_sealed_licence_opens_to_itself(changes: dict[str, Any]) -> None:
    """What the vendor seals is what a node reads, together with the very bytes that were verified."""
    data = seal(licence(**changes), KID, VENDOR)
    assert open_licence(data, KEYRING) == SignedLicence(licence(**changes), data)
    assert (peek(data).kid, peek(data).licence) == (KID, licence(**changes))


def test_the_file_is_five_lines_of_text() -> None:
    """The form of the file is fixed, line by line."""
    lines = SAMPLE.split(b"\n")
    assert lines[0] == b"TWINKEY LICENCE 1"
    assert lines[1] == b"kid: " + KID.encode()
    assert lines[2] == PAYLOAD
    assert re.fullmatch(rb"signature: [A-Za-z0-9_-]{86}", lines[3])
    assert lines[4:] == [b"END TWINKEY LICENCE", b""]


def test_what_is_signed_is_fixed() -> None:
    """The signature covers domain, version, key id and payload, each after its length."""
    parts = (b"twinkey licence file", b"1", KID.encode(), PAYLOAD)
    message = b"".join(struct.pack(">Q", len(part)) + part for part in parts)
    encoded = SAMPLE.split(b"\n")[3].removeprefix(b"signature: ")
    VENDOR.public_key().verify(b64decode(encoded + b"==", b"-_"), message)


# --- what is altered ----------------------------------------------------------------------------------------------


def test_any_flipped_bit_is_unprocessable_and_never_taken_for_another_kind_of_file() -> None:
    """Each single bit, wherever it lies, gives 422: altered, or an unknown key id or version where it lies there."""
    seen: Counter[Refusal] = Counter()
    for bit in range(8 * len(SAMPLE)):
        flipped = bytearray(SAMPLE)
        flipped[bit // 8] ^= 1 << bit % 8
        why = refusal(bytes(flipped))
        assert why.http == 422, (bit, why.text)
        seen[why.refusal] += 1
    assert set(seen) == {Refusal.ALTERED, Refusal.UNKNOWN_KEY, Refusal.UNSUPPORTED_VERSION}
    assert seen[Refusal.UNKNOWN_KEY] <= 8 * len(KID)
    assert seen[Refusal.UNSUPPORTED_VERSION] <= 8


def test_a_file_cut_anywhere_is_no_licence() -> None:
    """Whatever is cut off the end, be it the last line feed alone, the answer is 400 and not a bad signature."""
    for length in range(len(SAMPLE)):
        why = refusal(SAMPLE[:length])
        assert (why.http, why.code) == (400, "LICENSE.1006"), length


def test_a_file_without_its_beginning_is_no_licence() -> None:
    """A missing beginning is told apart from damage, too."""
    assert refusal(SAMPLE[2:]).refusal is Refusal.TRUNCATED


def spare_bits(data: bytes) -> bytes:
    """Return the file with the spare bits of its signature's last character set: the same signature to a decoder."""
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    at = data.index(b"\nEND ") - 1
    return data[:at] + alphabet[alphabet.index(data[at]) | 1 :][:1] + data[at + 1 :]


@pytest.mark.parametrize(
    "altered",
    [
        pytest.param(SAMPLE.replace(b"\n", b"\r\n"), id="CRLF line ends"),
        pytest.param(SAMPLE[:-1] + b"\r\n", id="CRLF at the end"),
        pytest.param(SAMPLE.replace(b"LICENCE 1\n", b"LICENCE 1\r\n"), id="CRLF after the version"),
        pytest.param(SAMPLE + b"\n", id="an empty line after the end"),
        pytest.param(SAMPLE + b" ", id="a blank after the end"),
        pytest.param(SAMPLE.replace(b"kid: ", b"kid:"), id="a blank less"),
        pytest.param(SAMPLE.replace(b"\nkid", b"\n\nkid"), id="an empty line within"),
        pytest.param(SAMPLE.replace(b'"hosts":10', b'"hosts":99'), id="a larger quota"),
        pytest.param(SAMPLE.replace(b"\nEND", b"==\nEND"), id="padded signature"),
        pytest.param(spare_bits(SAMPLE), id="spare bits of the signature"),
        pytest.param(SAMPLE.replace(KID.encode(), KID.upper().encode()), id="key id in upper case"),
        pytest.param(SAMPLE.replace(b"\nsig", b"\npublic-key: AAAA\nsig"), id="a public key line of its own"),
        pytest.param(re.sub(rb"signature: .*\n", b"", SAMPLE), id="no signature"),
        pytest.param(SAMPLE[:-20] + SAMPLE, id="two files in one"),
    ],
)
def test_another_way_to_write_the_same_file_is_an_altered_file(altered: bytes) -> None:
    """There is one byte form of a licence file; anything near it is refused as altered."""
    assert altered != SAMPLE
    assert (refusal(altered).code, refusal(altered).http) == ("bad-signature", 422)


def test_a_signature_is_no_good_for_other_contents() -> None:
    """The signature of one licence does not fit another, nor does a bare signature of the payload fit at all."""
    other = seal(licence(licence_id="L-2"), KID, VENDOR)
    grafted = other[: other.index(b"signature")] + SAMPLE[SAMPLE.index(b"signature") :]
    assert refusal(grafted).refusal is Refusal.ALTERED
    bare = b64encode(VENDOR.sign(PAYLOAD), b"-_").rstrip(b"=")
    assert refusal(re.sub(rb"signature: .*", b"signature: " + bare, SAMPLE)).refusal is Refusal.ALTERED


def test_a_signature_is_no_good_under_another_key_id() -> None:
    """The key id is part of what is signed: it cannot be replaced by that of another pinned key."""
    other = VendorKey(key_id(public_key(2)), public_key(2), valid_from=PINNED.valid_from)
    renamed = SAMPLE.replace(KID.encode(), other.kid.encode())
    assert refusal(renamed, Keyring((PINNED, other))).refusal is Refusal.ALTERED


# --- who signed ---------------------------------------------------------------------------------------------------


def pinned(**changes: Any) -> Keyring:
    """Return a keyring with the vendor's key, but for the changes."""
    entry = {"valid_from": PINNED.valid_from} | changes
    return Keyring((VendorKey(KID, public_key(1), **entry),))


@pytest.mark.parametrize(
    ("keyring", "why"),
    [
        (Keyring((VendorKey(key_id(public_key(2)), public_key(2), PINNED.valid_from),)), Refusal.UNKNOWN_KEY),
        (pinned(purpose="updates"), Refusal.UNKNOWN_KEY),
        (pinned(revoked=True), Refusal.RETIRED_KEY),
        (pinned(valid_from=day("2026-01-02")), Refusal.RETIRED_KEY),
        (pinned(valid_until=day("2026-01-01")), Refusal.RETIRED_KEY),
    ],
    ids=["unknown", "of another purpose", "revoked", "issued before its time", "issued as it ended"],
)
def test_a_key_that_does_not_count_is_named(keyring: Keyring, why: Refusal) -> None:
    """An unknown or retired signing key gives 422, and the answer names the key id."""
    found = refusal(SAMPLE, keyring)
    assert (found.refusal, found.http) == (why, 422)
    assert KID in found.text


def test_a_key_past_its_time_verifies_what_it_signed_in_its_time() -> None:
    """Retiring a key does not retire the licences it signed before."""
    assert open_licence(SAMPLE, pinned(valid_until=day("2026-01-02"))).licence == licence()


def test_a_forger_with_a_key_of_their_own_gets_nowhere() -> None:
    """A file signed by another key is refused, whether it names that key or poses as ours."""
    forger = private_key(9)
    assert refusal(seal(licence(), key_id(public_key(9)), forger)).refusal is Refusal.UNKNOWN_KEY
    assert refusal(seal(licence(), KID, forger)).refusal is Refusal.ALTERED


# --- what is in it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [b"2", b"0", b"10", b"999999999"])
def test_another_format_version_is_unsupported(version: bytes) -> None:
    """A file of another version gives 422 and the advice to upgrade, whatever the rest of it looks like."""
    for rest in (SAMPLE.split(b"\n", 1)[1], b"all new\nEND TWINKEY LICENCE\n", b"with another end\n"):
        why = refusal(b"TWINKEY LICENCE " + version + b"\n" + rest)
        assert (why.code, why.http) == ("unsupported-version", 422)
        assert version.decode() in why.text
        assert "Upgrade" in why.hint


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(PAYLOAD[:-1] + b',"sequence":1}', id="duplicate member"),
        pytest.param(PAYLOAD.replace(b'"sequence":1', b'"sequence":NaN'), id="NaN"),
        pytest.param(PAYLOAD.replace(b'"sequence":1', b'"sequence":1.0'), id="another number format"),
        pytest.param(PAYLOAD.replace(b'"sequence":1', b'"sequence":-1'), id="out of range"),
        pytest.param(PAYLOAD.replace(b'":', b'": '), id="white space"),
        pytest.param(b"{" + b",".join(reversed(PAYLOAD[1:-1].split(b","))) + b"}", id="another order"),
        pytest.param(PAYLOAD.replace(b"00:00Z", b"00:00+00:00"), id="UTC written as an offset"),
        pytest.param(PAYLOAD.replace(b"00:00Z", b"00:00+02:00"), id="not UTC"),
        pytest.param(PAYLOAD.replace(b"00:00Z", b"00:00"), id="no offset"),
        pytest.param(PAYLOAD[:-1] + b',"zzPublicKey":"AAAA"}', id="extra member"),
        pytest.param(PAYLOAD.replace(b'"lineage":"C-1",', b""), id="missing member"),
        pytest.param(PAYLOAD.replace(b'"basic-paid"', b'"golden"'), id="unknown edition"),
        pytest.param(b"[" * 30_000 + b"]" * 30_000, id="deep nesting"),
        pytest.param(b'{"binding":' * 5_000, id="deep nesting of a member"),
        pytest.param(b"\xff\xfe", id="not UTF-8"),
        pytest.param(b'{"licenceId":"\\ud800"}', id="half a surrogate pair"),
        pytest.param(b"<html></html>", id="not JSON"),
        pytest.param(b"null", id="nothing"),
    ],
)
def test_a_signed_payload_of_another_form_is_malformed(payload: bytes) -> None:
    """A signature does not excuse what it covers: 400 for anything but the canonical form of a licence."""
    why = refusal(seal_payload(payload, KID, VENDOR))
    assert (why.code, why.http) == ("malformed", 400)


def test_a_refusal_quotes_a_file_in_one_printable_line() -> None:
    """What a stranger wrote into a file cannot command the terminal on which the refusal is shown."""
    why = refusal(seal_payload(b'{"\\u001b[2J%s":1}' % (b"x" * 9000), KID, VENDOR))
    assert why.text.isprintable()
    assert len(why.text) < 300


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"not_before": day("2027-01-01")}, Refusal.MALFORMED),
        ({"issued": day("2027-01-02")}, Refusal.MALFORMED),
        ({"expires": dt.datetime.fromisoformat("2027-01-01T00:00:00+02:00")}, Refusal.MALFORMED),
        ({"service_expires": dt.datetime.fromisoformat("2027-01-01T00:00:00-02:00")}, Refusal.MALFORMED),
        ({"quota": Quota()}, Refusal.MALFORMED),
        ({"quota": Quota(), "edition": Edition.ADVANCED_PAID}, Refusal.MALFORMED),
        ({"service_expires": day("0001-01-02")}, Refusal.MALFORMED),
        ({"binding": BuiltIn()}, Refusal.MALFORMED),
        ({"product": "other"}, Refusal.WRONG_PRODUCT),
    ],
)
def test_a_licence_that_makes_no_sense_is_neither_sealed_nor_opened(changes: dict[str, Any], why: Refusal) -> None:
    """The vendor cannot sign nonsense by mistake, and a node refuses it all the same."""
    with pytest.raises(LicenceRefused) as caught:
        seal(licence(**changes), KID, VENDOR)
    assert caught.value.refusal is why
    found = refusal(seal_payload(canonical.encode(licence(**changes)), KID, VENDOR))
    assert (found.refusal, found.text) == (why, caught.value.text)


def test_a_wrong_product_has_the_platforms_code() -> None:
    """A licence for something else is answered as the platform does."""
    found = refusal(seal_payload(canonical.encode(licence(product="other")), KID, VENDOR))
    assert (found.code, found.http) == ("LICENSE.1003", 422)


# --- what is no licence file at all -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"<!DOCTYPE html><html>", b"PK\x03\x04" + bytes(60), b"\x1f\x8b\x08", bytes(4096), b"\xef\xbb\xbf"],
)
def test_another_kind_of_file_is_no_licence(data: bytes) -> None:
    """Nothing, HTML, archives and zeros are no valid licence data."""
    assert (refusal(data).code, refusal(data).http) == ("LICENSE.1006", 400)


def test_a_large_file_is_not_looked_at() -> None:
    """The size limit comes first, and is exact."""
    most = SAMPLE[:30] + b"x" * (MAX_BYTES - len(SAMPLE)) + SAMPLE[30:]
    assert refusal(most).refusal is Refusal.ALTERED
    assert (refusal(most + b"\n").code, refusal(most + b"\n").http) == ("too-large", 413)


_PIECES = st.sampled_from([*SAMPLE.splitlines(keepends=True), b"\r\n", b"\x00", b"{", b'"', b"1", b"kid: "])


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.binary(max_size=200) | st.lists(_PIECES | st.binary(max_size=4), max_size=12).map(b"".join))
def test_no_bytes_do_worse_than_be_refused(data: bytes) -> None:
    """Whatever arrives is opened or refused with a reason and a next step; only the sample opens."""
    match outcome(data):
        case SignedLicence(file=opened):
            assert opened == SAMPLE
        case why:
            assert why.http in {400, 413, 422}
            assert why.text.endswith(".")
            assert why.hint.endswith(".")
            assert str(why) == why.text


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.binary(max_size=300))
def test_no_signed_bytes_do_worse_than_be_refused(payload: bytes) -> None:
    """Not even with a good signature can a payload do harm."""
    assert refusal(seal_payload(payload, KID, VENDOR)).http in {400, 422}
