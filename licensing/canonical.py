"""Canonical JSON: the one byte form in which this product stores and signs values.

Canonical means UTF-8, members sorted by name, no white space, no duplicate members, no NaN, RFC 3339 times in UTC.
Decoding is strict: unknown members, wrong types and every other byte form of the same value are refused.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

T = TypeVar("T")

_encoder = msgspec.json.Encoder(order="sorted")


class Malformed(ValueError):  # noqa: N818 - it says what the bytes are
    """The bytes are not the canonical form of a value of the expected type; the text says why."""


def encode(value: object) -> bytes:
    """Return the canonical JSON bytes of a msgspec value."""
    return _encoder.encode(value)


def decode(data: bytes, kind: type[T]) -> T:
    """Decode canonical JSON into `kind`.

    Raises:
        Malformed: not JSON, not of this type, nested too deeply, or not in canonical form.
    """
    try:
        value = msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(str(error)) from error
    except RecursionError as error:
        raise Malformed("nested too deeply") from error
    if encode(value) != data:
        raise Malformed("not in canonical form (member order, white space, duplicates or number format)")
    return value
