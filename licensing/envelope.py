r"""The licence file: one licence, signed with the vendor's Ed25519 key, as five lines of text.

    TWINKEY LICENCE 1
    kid: <id of the vendor's key: 16 hex digits>
    <the licence as canonical JSON>
    signature: <base64url without padding>
    END TWINKEY LICENCE

Every line ends in a single line feed. There is exactly one byte form of a file, so nothing in it can be changed,
added or left out and still be accepted. The signature covers the version, the key id and the payload's bytes as
received. A file is first recognised, leaving room for one damaged byte at either end, so that damage is told apart
from a file that never was a licence or is cut short.

This file knows the format and which licences make sense at all. It must not know what time it is, what is
installed, or where the bytes came from.
"""

from __future__ import annotations

import datetime as dt
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from enum import Enum

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from licensing import canonical
from licensing.keyring import PURPOSE_LICENCE, Keyring, VendorKey
from licensing.licence import BuiltIn, Edition, Licence, Quota, SignedLicence

MAX_BYTES = 64 * 1024
PRODUCT = "twinkey"
VERSION = b"1"

_DOMAIN = b"twinkey licence file"
_START = b"TWINKEY LICENCE "
_END = b"END TWINKEY LICENCE\n"
_EARLIEST = dt.datetime(1971, 1, 1, tzinfo=dt.UTC)
"""No licence has an earlier date; with one the law's sums would leave the calendar."""

_FIRST_LINE = re.compile(rb"TWINKEY LICENCE ([0-9]{1,9})\r?\n")
_FILE = re.compile(
    rb"TWINKEY LICENCE 1\n"
    rb"kid: ([0-9a-f]{16})\n"
    rb"([^\n]+)\n"
    rb"signature: ([A-Za-z0-9_-]{86})\n"
    rb"END TWINKEY LICENCE\n"
)


# --- refusals -----------------------------------------------------------------------------------------------


class Refusal(Enum):
    """Why a file is refused: the code and HTTP status of the answer, and what to do next."""

    TOO_LARGE = (
        "too-large",
        413,
        "A licence file has at most 64 KiB. Check that this is the file the vendor sent.",
    )
    NOT_A_LICENCE = ("LICENSE.1006", 400, "Check that this is the licence file the vendor sent.")
    TRUNCATED = ("LICENSE.1006", 400, "Copy the licence file again, whole, from where it was received.")
    UNSUPPORTED_VERSION = (
        "unsupported-version",
        422,
        "Upgrade Twinkey on every node, then install the file again.",
    )
    ALTERED = (
        "bad-signature",
        422,
        "Copy the file again without editing it; if that fails, ask the vendor to send it again.",
    )
    UNKNOWN_KEY = (
        "unknown-key-id",
        422,
        "Check that the file is your vendor's; if the vendor has a new signing key, update the keyring.",
    )
    RETIRED_KEY = ("retired-key-id", 422, "Ask the vendor for a licence that is signed with a current key.")
    MALFORMED = (
        "malformed",
        400,
        "Report this to the vendor: the signature is good, the licence in it is not.",
    )
    WRONG_PRODUCT = ("LICENSE.1003", 422, "Ask the vendor for a licence of this product.")

    def __init__(self, code: str, http: int, hint: str) -> None:
        self.code = code
        self.http = http
        self.hint = hint


class LicenceRefused(Exception):  # noqa: N818 - it says what became of the file
    """A licence file that is not accepted: `text` says what is wrong, `hint` what to do next."""

    def __init__(self, refusal: Refusal, text: str) -> None:
        super().__init__(refusal, text)
        self.refusal = refusal
        self.text = text

    def __str__(self) -> str:
        return self.text

    @property
    def code(self) -> str:
        """The code of the answer, such as `bad-signature` or `LICENSE.1006`."""
        return self.refusal.code

    @property
    def http(self) -> int:
        """The HTTP status of the answer."""
        return self.refusal.http

    @property
    def hint(self) -> str:
        """What to do next."""
        return self.refusal.hint


# --- making -------------------------------------------------------------------------------------------------


def seal(licence: Licence, kid: str, private_key: Ed25519PrivateKey) -> bytes:
    """Return the licence file for a licence.

    Raises:
        LicenceRefused: the licence makes no sense, so that no node would accept the file.
    """
    _check_sense(licence, PRODUCT)
    return seal_payload(canonical.encode(licence), kid, private_key)


def seal_payload(payload: bytes, kid: str, private_key: Ed25519PrivateKey) -> bytes:
    """Return the licence file for payload bytes as they are, sensible or not."""
    signature = private_key.sign(_signed_message(kid, payload))
    return b"%s%s\nkid: %s\n%s\nsignature: %s\n%s" % (
        _START,
        VERSION,
        kid.encode(),
        payload,
        _base64(signature),
        _END,
    )


# --- opening ------------------------------------------------------------------------------------------------


class Unverified(msgspec.Struct, frozen=True):
    """What a file claims, its signature not looked at: for showing to people and never for deciding."""

    kid: str
    licence: Licence


class _Parts(msgspec.Struct, frozen=True):
    kid: str
    payload: bytes
    signature: bytes


def open_licence(data: bytes, keyring: Keyring, product: str = PRODUCT) -> SignedLicence:
    """Return the licence in a file whose signature is good.

    Raises:
        LicenceRefused: anything else.
    """
    parts = _split(data)
    key = _trusted_key(parts.kid, keyring)
    _verify(parts, key)
    licence = _decode(parts.payload)
    _check_sense(licence, product)
    _check_window(licence, key)
    return SignedLicence(licence=licence, file=data)


def peek(data: bytes) -> Unverified:
    """Return what a file claims without verifying it.

    Raises:
        LicenceRefused: the bytes do not have the form of a licence file.
    """
    parts = _split(data)
    return Unverified(kid=parts.kid, licence=_decode(parts.payload))


def _split(data: bytes) -> _Parts:
    _recognise(data)
    found = _FILE.fullmatch(data)
    if found is None:
        raise LicenceRefused(
            Refusal.ALTERED, "The licence file was altered: its lines are not as the vendor wrote them."
        )
    kid, payload, encoded = found.groups()
    signature = urlsafe_b64decode(encoded + b"==")
    if _base64(signature) != encoded:  # the last character has four spare bits, which must not vary
        raise LicenceRefused(
            Refusal.ALTERED, "The licence file was altered: its signature is not written as it should be."
        )
    return _Parts(kid=kid.decode(), payload=payload, signature=signature)


def _recognise(data: bytes) -> None:
    """Refuse what is not a whole licence file of our version."""
    if len(data) > MAX_BYTES:
        raise LicenceRefused(
            Refusal.TOO_LARGE, f"The file has {len(data)} bytes; a licence file has at most {MAX_BYTES}."
        )
    starts, ends = _nearly(data[: len(_START)], _START), _has_end(data)
    if not starts and not ends:
        raise LicenceRefused(Refusal.NOT_A_LICENCE, "The file is empty." if not data else "This is not a licence file.")
    if not starts:
        raise LicenceRefused(Refusal.TRUNCATED, "The beginning of the licence file is missing.")
    first_line = _FIRST_LINE.match(data)
    if first_line is not None and first_line[1] != VERSION:
        version = first_line[1].decode()
        raise LicenceRefused(
            Refusal.UNSUPPORTED_VERSION,
            f"The licence file has format version {version}, which this release does not support.",
        )
    if not ends:
        raise LicenceRefused(Refusal.TRUNCATED, "The licence file is cut short: its end is missing.")


def _has_end(data: bytes) -> bool:
    """Say whether the end is there, up to one damaged byte or with mangled line ends."""
    stripped = data.rstrip()
    return _nearly(data[-len(_END) :], _END) or (stripped != data and stripped.endswith(_END.rstrip()))


def _nearly(found: bytes, expected: bytes) -> bool:
    """Say whether two strings of the same length differ in at most one byte."""
    return len(found) == len(expected) and sum(a != b for a, b in zip(found, expected, strict=True)) <= 1


def _trusted_key(kid: str, keyring: Keyring) -> VendorKey:
    key = keyring.lookup(kid)
    if key is None:
        raise LicenceRefused(
            Refusal.UNKNOWN_KEY, f"The licence is signed with key {kid}, which the keyring does not hold."
        )
    if key.revoked:
        raise LicenceRefused(Refusal.RETIRED_KEY, f"The licence is signed with key {kid}, which was revoked.")
    if key.purpose != PURPOSE_LICENCE:
        raise LicenceRefused(
            Refusal.UNKNOWN_KEY,
            f"The licence is signed with key {kid}, which is kept for {key.purpose!r} and not for licences.",
        )
    return key


def _verify(parts: _Parts, key: VendorKey) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(
            parts.signature, _signed_message(parts.kid, parts.payload)
        )
    except InvalidSignature:
        raise LicenceRefused(
            Refusal.ALTERED,
            f"The licence file was altered: the signature by key {parts.kid} does not match its contents.",
        ) from None


def _decode(payload: bytes) -> Licence:
    try:
        return canonical.decode(payload, Licence)
    except canonical.Malformed as error:
        raise LicenceRefused(Refusal.MALFORMED, f"The licence in the file is malformed: {_quotable(error)}.") from error


def _quotable(error: Exception) -> str:
    """Return an error's text as one short printable line: it may quote a file that anyone could have written."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(error)[:200])


def _signed_message(kid: str, payload: bytes) -> bytes:
    """Return what is signed: each part after its length, so that no byte can move to the next part."""
    parts = (_DOMAIN, VERSION, kid.encode(), payload)
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def _base64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


# --- what makes sense ---------------------------------------------------------------------------------------


def _check_sense(licence: Licence, product: str) -> None:
    if licence.product != product:
        raise LicenceRefused(
            Refusal.WRONG_PRODUCT, f"The licence is for the product {licence.product!r}, not {product!r}."
        )
    for fault in _faults(licence):
        raise LicenceRefused(Refusal.MALFORMED, f"The licence makes no sense: {fault}.")


def _faults(licence: Licence) -> Iterator[str]:
    dates = (licence.issued, licence.not_before, licence.expires, licence.service_expires)
    times = [time for time in dates if time is not None]
    if any(time.utcoffset() != dt.timedelta(0) for time in times):
        yield "one of its times is not in UTC"
    elif min(times) < _EARLIEST:
        yield f"one of its dates is before the year {_EARLIEST.year}"
    elif licence.not_before >= licence.expires:
        yield "it ends before it begins"
    elif licence.issued > licence.expires:
        yield "it was issued after its end"
    if licence.edition is not Edition.BASIC_TRIAL and licence.quota == Quota():
        yield "a paid edition must name at least one of hosts, CPU sockets and CPU cores"
    if isinstance(licence.binding, BuiltIn):
        yield "it must be bound to a USB key or a site"


def _check_window(licence: Licence, key: VendorKey) -> None:
    if not key.covers(licence.issued):
        raise LicenceRefused(
            Refusal.RETIRED_KEY,
            f"The licence was issued on {licence.issued:%Y-%m-%d}, when key {key.kid} was not in use.",
        )
