"""Reading a zip: its members, in the plain form that every common tool writes and in no other.

The directory at the end and the members' own headers must say the same and account for every byte, so that there is
one way to read the archive and nothing to hide in it. What they say of sizes is checked and never relied on.

This file must not know what the members are for.
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Iterator
from itertools import pairwise

import msgspec

from licensing.unpacking import MAX_BYTES, check_count, damaged, inflate, not_plain, too_large

_END = struct.Struct("<4s4H2LH")
_LISTED = struct.Struct("<4s4x2H4x3L3H4x2L")
_HEADER = struct.Struct("<4s2x2H4x3L2H")
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _SIZES_FOLLOW, _UTF8 = 0x2041, 0x8, 0x800


class _Entry(msgspec.Struct, frozen=True):
    """A member as the zip's directory has it; `offset` is where its header begins."""

    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    mode: int
    offset: int

    @property
    def name(self) -> str:
        """The whole name, which anyone may have written."""
        try:
            return self.raw_name.decode("utf-8" if self.flags & _UTF8 else "cp437")
        except UnicodeDecodeError:
            raise not_plain("The zip archive has a member whose name is not UTF-8, as it says.") from None

    @property
    def shown(self) -> str:
        """The name as it may be shown to people."""
        return repr(self.name[:80])


def unzip(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield each member's name and contents; a folder's name ends in a slash.

    Members follow each other from the zip's beginning to its directory without a gap.

    Raises:
        UploadRefused: the zip is not plain, not whole, or over a limit.
    """
    directory, entries = _directory(data)
    offsets = [*(entry.offset for entry in entries), directory]
    if offsets[0] != 0:
        raise not_plain("The zip archive has something before its first member.")
    if any(following - offset < _HEADER.size for offset, following in pairwise(offsets)):
        raise not_plain("The members of the zip archive overlap.")
    room = MAX_BYTES
    for entry, (_, following) in zip(entries, pairwise(offsets), strict=True):
        contents = _contents(data, entry, following, room)
        room -= len(contents)
        yield entry.name, contents


def _directory(data: bytes) -> tuple[int, list[_Entry]]:
    """Return where the directory begins, and what it lists; it must end where the end record begins."""
    end = len(data) - _END.size
    if end < 0 or not data.startswith(b"PK\x05\x06", end):
        raise damaged("The zip archive is cut short, or has something after its end.")
    _, disk, first_disk, here, count, size, start, comment = _END.unpack_from(data, end)
    if disk or first_disk or here != count or comment or start + size != end:
        raise not_plain("The zip archive is not a plain one: it is split, joined to something, commented, or zip64.")
    check_count(count)
    entries, at = list[_Entry](), start
    for _ in range(count):
        entry, at = _entry(data, at, end)
        entries.append(entry)
    if at != end:
        raise not_plain("The directory of the zip archive has another length than it says.")
    return start, entries


def _entry(data: bytes, at: int, end: int) -> tuple[_Entry, int]:
    """Return the entry of the directory at a place, and the place of the next."""
    names_at = at + _LISTED.size
    if names_at > end or not data.startswith(b"PK\x01\x02", at):
        raise damaged("The directory of the zip archive is damaged.")
    _, flags, method, crc, packed, size, name, extra, comment, attributes, offset = _LISTED.unpack_from(data, at)
    raw_name = data[names_at : names_at + name]
    entry = _Entry(raw_name, flags, method, crc, packed, size, attributes >> 16, offset)
    return entry, names_at + name + extra + comment


def _contents(data: bytes, entry: _Entry, following: int, room: int) -> bytes:
    """Return a member's contents; all that its header and its data leave before what follows is their description."""
    _check_kind(entry)
    begin = _data_begin(data, entry)
    end = begin + entry.packed
    if end > following or data[end:following] not in _descriptions(entry):
        raise not_plain(f"The zip archive has something between {entry.shown} and what follows, or they overlap.")
    packed, what = data[begin:end], f"{entry.shown} in the archive"
    contents = inflate(packed, -zlib.MAX_WBITS, room, what) if entry.method == _DEFLATED else packed
    if len(contents) > room:
        raise too_large(f"{what} is too large.")
    if len(contents) != entry.size or zlib.crc32(contents) != entry.crc:
        raise damaged(f"{what} is damaged: its size or checksum is wrong.")
    return contents


def _check_kind(entry: _Entry) -> None:
    if entry.flags & _ENCRYPTED:
        raise not_plain(f"{entry.shown} in the archive is encrypted.")
    if entry.method not in {_STORED, _DEFLATED}:
        raise not_plain(f"{entry.shown} in the archive is compressed in a way that only few programs know.")
    if stat.S_IFMT(entry.mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise not_plain(f"{entry.shown} in the archive is a link or a device.")


def _data_begin(data: bytes, entry: _Entry) -> int:
    """Return where a member's data begin, if its header says the same as the directory."""
    name_at = entry.offset + _HEADER.size
    mark, flags, method, crc, packed, size, name, extra = _HEADER.unpack_from(data, entry.offset)
    same = method == entry.method and data[name_at : name_at + name] == entry.raw_name
    same = same and not (flags ^ entry.flags) & (_ENCRYPTED | _SIZES_FOLLOW | _UTF8)
    same = same and (bool(flags & _SIZES_FOLLOW) or (crc, packed, size) == (entry.crc, entry.packed, entry.size))
    if mark != b"PK\x03\x04" or not same:
        raise not_plain(f"The directory of the zip archive does not fit the member {entry.shown}.")
    begin: int = name_at + name + extra
    return begin


def _descriptions(entry: _Entry) -> set[bytes]:
    """Return what may follow a member's data: nothing, or sizes and checksum where they were not known before."""
    if not entry.flags & _SIZES_FOLLOW:
        return {b""}
    described = {struct.pack(form, entry.crc, entry.packed, entry.size) for form in ("<3L", "<L2Q")}
    return described | {b"PK\x07\x08" + each for each in described}
