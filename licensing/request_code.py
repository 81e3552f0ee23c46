"""The request code: text that identifies a site to the vendor, made to survive mail.

    TWINKEY REQUEST CODE 1:
    <checksum and values in base32, 64 letters to a line>
    :END

It is capitals and digits, so that no mail program takes any of it for mark-up. White space, line breaks and the `>` of
a quoted mail do not count. The checksum covers the version too, and the frame is the same for every version, so that
a wrong character is told apart from a code of a later release.

A checksum is no signature: anyone can make a request code, and the vendor decides whom to answer.
This file must not know who the vendor is, or which codes are still of use.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from base64 import b32decode, b32encode
from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

from licensing import canonical
from licensing.licence import SiteBinding
from licensing.value import Count, Value

VERSION = "1"

_MAX_CHARS = 8 * 1024
_LINE = 64
_CHECKSUM_BYTES = 10
_DOMAIN = b"twinkey request code "
_FORGIVEN = re.compile(r"[\s>\u200b\ufeff]+")  # the latter two are invisible
_START = "TWINKEYREQUESTCODE"
_END = ":END"
_CODE = re.compile(rf"{_START}([1-9][0-9]{{0,8}}):([A-Z2-7]+){_END}")

Word = Annotated[str, Meta(pattern=r"^[!-~]{1,256}\Z")]
"""Printable ASCII without spaces, which is safe to show to people."""


class BadRequestCode(ValueError):  # noqa: N818 - it says what the text is
    """The text is not a request code that this release can read; the text says why and what to do next."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class RequestCode(Value, frozen=True):
    """What identifies a site to the vendor.

    `fingerprints`: of its nodes, one or two. `nonce`: tells this request from the site's others. `sequence`: the
    highest among the site's licences.
    """

    site_id: Word
    fingerprints: Annotated[tuple[Word, ...], Meta(min_length=1, max_length=2)]
    nonce: Word
    sequence: Count


def render(code: RequestCode) -> str:
    """Return the request code as text: the same text for the same values, every line ended by a line feed.

    The values are not checked: `parse` refuses a text whose values have other characters or sizes than they may.
    """
    payload = canonical.encode(code)
    encoded = b32encode(_checksum(VERSION, payload) + payload).decode().rstrip("=")
    lines = [encoded[at : at + _LINE] for at in range(0, len(encoded), _LINE)]
    return "\n".join([f"TWINKEY REQUEST CODE {VERSION}:", *lines, _END, ""])


def parse(text: str) -> RequestCode:
    """Return what a request code says.

    Raises:
        BadRequestCode: one character is wrong, or more, or the code is of a later release.
    """
    version, data = _split(text)
    checksum, payload = data[:_CHECKSUM_BYTES], data[_CHECKSUM_BYTES:]
    if checksum != _checksum(version, payload):
        raise BadRequestCode(
            "The request code was altered: its checksum is wrong. Copy it again, whole and without editing it."
        )
    if version != VERSION:
        raise BadRequestCode(
            f"The request code has version {version}, which this release cannot read. Upgrade Twinkey where it is read."
        )
    try:
        return canonical.decode(payload, RequestCode)
    except canonical.Malformed as error:
        raise BadRequestCode(
            f"The request code is whole but makes no sense ({str(error)[:200]!r}). Ask the site for a new one."
        ) from error


def binding_of(code: RequestCode) -> SiteBinding:
    """Return what a licence is bound to that answers this request."""
    return SiteBinding(code.site_id, code.fingerprints, code.nonce)


def matches(binding: SiteBinding, site_id: str, fingerprints: Iterable[str]) -> bool:
    """Say whether a licence is for this site: at least one of its nodes is one that the licence was asked for with."""
    return binding.site_id == site_id and not set(binding.fingerprints).isdisjoint(fingerprints)


def _split(text: str) -> tuple[str, bytes]:
    """Return the version and the bytes behind the base32."""
    if len(text) > _MAX_CHARS:
        raise BadRequestCode("This is too long for a request code. Pass on the code alone, without the rest of a mail.")
    dense = _FORGIVEN.sub("", text)
    found = _CODE.fullmatch(dense)
    if found is None:
        raise BadRequestCode(_what_is_wrong(dense))
    version, encoded = found.groups()
    try:
        data = b32decode(encoded + "=" * (-len(encoded) % 8))
    except binascii.Error:
        raise BadRequestCode(_what_is_wrong(dense)) from None
    if b32encode(data).decode().rstrip("=") != encoded:  # the last letter may have spare bits, which must not vary
        raise BadRequestCode(_what_is_wrong(dense))
    return version, data


def _what_is_wrong(dense: str) -> str:
    if not dense.startswith(_START):
        return f"This is not a request code: one begins with 'TWINKEY REQUEST CODE' and ends with '{_END}'."
    if not dense.endswith(_END):
        return f"The request code is cut short: its last line, '{_END}', is missing. Copy it again, whole."
    return "The request code was altered: it has characters too many, too few or wrong. Copy it again, whole."


def _checksum(version: str, payload: bytes) -> bytes:
    return hashlib.sha256(_DOMAIN + version.encode() + b":" + payload).digest()[:_CHECKSUM_BYTES]
