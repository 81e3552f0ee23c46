"""What a stored value looks like: canonical JSON with a version around the data.

Knows no key and no store. Decoding believes nothing: a value of an unknown version, of another shape or size is
refused with the key's name in the text, and the caller decides what that means (a report that cannot be decoded makes
its node unknown, it does not unplug its keys).

While a site is upgraded one node is newer than the other. A message, which its writer writes whole each time, is read
with `read_message`: what a newer version added to it is left out. What is read to be changed and written again is read
with `decode_value`, which refuses that: it would be lost.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from cluster.pruning import prune
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


class NewerValue(BadValue):
    """A stored value was written by a newer version, and has more in it than this one knows."""


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
        NewerValue: a newer version wrote it, with members that this one does not know or in another format.
        BadValue: not one of ours, an unknown version, another shape, not canonical, or larger than 1 MiB.
    """
    body = _body(key, data, kind)
    try:
        return canonical.decode(body, kind)
    except canonical.Malformed as error:
        unknown = _known_part(body, kind)
        if unknown is not None and unknown[1]:
            raise NewerValue(key, _newer(unknown[1])) from error
        raise _bad(key, kind, error) from error


def read_message(key: str, data: bytes, kind: type[T]) -> T:
    """Decode what was stored under `key` as a `kind`, without what a newer version of it has more.

    Raises:
        NewerValue: it has a newer format.
        BadValue: as `decode_value`.
    """
    body = _body(key, data, kind)
    try:
        return canonical.decode(body, kind)
    except canonical.Malformed as error:
        known = _known_part(body, kind)
        if known is None:
            raise _bad(key, kind, error) from error
        return known[0]


def _body(key: str, data: bytes, kind: type[T]) -> bytes:
    """Return the data in an envelope of this version."""
    if len(data) > LARGEST:
        raise BadValue(key, f"is {len(data)} bytes long; {LARGEST} are allowed")
    try:
        envelope = msgspec.json.decode(data, type=_Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _bad(key, kind, error) from error
    except RecursionError as error:
        raise BadValue(key, "is nested too deeply") from error
    if envelope.version > VERSION:
        raise NewerValue(key, f"was written by a newer version (format {envelope.version}): upgrade this node")
    if envelope.version != VERSION:
        raise BadValue(key, f"has format {envelope.version}; only {VERSION} is known")
    body = bytes(envelope.data)
    if data != b'{"data":%b,"version":%d}' % (body, VERSION):
        raise BadValue(key, "has members beside data and version, or is not in canonical form")
    return body


def _known_part(body: bytes, kind: type[T]) -> tuple[T, tuple[str, ...]] | None:
    """Return what this version knows of a value, and which members it does not know; None where it is no such value."""
    try:
        pruned = prune(body, kind)
        return msgspec.json.decode(pruned.data, type=kind), pruned.left_out
    except (canonical.Malformed, msgspec.DecodeError):
        return None


def _newer(unknown: tuple[str, ...]) -> str:
    names = ", ".join(name[:40] for name in unknown[:3]) + (", …" if len(unknown) > 3 else "")  # noqa: PLR2004
    return f"was written by a newer version, so upgrade this node; what it does not know: {names}"


def _bad(key: str, kind: type, error: Exception) -> BadValue:
    return BadValue(key, f"is not a {kind.__name__} as this version writes it: {error}")
