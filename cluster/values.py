"""What a stored value looks like: canonical JSON with a version around the data.

Knows no key and no store. Decoding believes nothing: a value of an unknown version, of another shape or size is
refused with the key's name in the text, and the caller decides what that means (a report that cannot be decoded makes
its node unknown, it does not unplug its keys).
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from licensing import canonical

T = TypeVar("T", bound=msgspec.Struct)

VERSION = 1
LARGEST = 1024 * 1024
"""Bytes; etcd itself refuses requests above 1.5 MiB."""


class BadValue(ValueError):  # noqa: N818 - it says what it is
    """A stored value cannot be used; the text names its key and says why."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"{key}: {why}")
        self.key = key
        self.why = why


class _Envelope(msgspec.Struct, frozen=True):
    data: msgspec.Raw
    version: int


def encode_value(value: msgspec.Struct) -> bytes:
    """Return `{"data": …, "version": 1}` in canonical JSON.

    Raises:
        BadValue: the result is larger than 1 MiB.
    """
    data = canonical.encode({"data": value, "version": VERSION})
    if len(data) > LARGEST:
        raise BadValue(type(value).__name__, f"is {len(data)} bytes long; {LARGEST} are allowed")
    return data


def decode_value(key: str, data: bytes, kind: type[T]) -> T:
    """Decode what was stored under `key` as a `kind`.

    Raises:
        BadValue: not one of ours, another version, another shape, not canonical, or larger than 1 MiB.
    """
    if len(data) > LARGEST:
        raise BadValue(key, f"is {len(data)} bytes long; {LARGEST} are allowed")
    try:
        envelope = msgspec.json.decode(data, type=_Envelope)
        _check_version(key, envelope.version)
        value = canonical.decode(bytes(envelope.data), kind)
    except (msgspec.DecodeError, UnicodeDecodeError, canonical.Malformed) as error:
        raise BadValue(key, f"is not a {kind.__name__} as this version writes it: {error}") from error
    except RecursionError as error:
        raise BadValue(key, "is nested too deeply") from error
    if encode_value(value) != data:
        raise BadValue(key, "has members beside data and version, or is not in canonical form")
    return value


def _check_version(key: str, version: int) -> None:
    if version > VERSION:
        raise BadValue(key, f"was written by a newer version (format {version}): upgrade this node")
    if version != VERSION:
        raise BadValue(key, f"has format {version}; only {VERSION} is known")
