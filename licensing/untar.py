"""Reading a tar, bare or in gzip: its members, in the plain form that every common tool writes and in no other.

Extensions that change what a member is called or holds are refused, so that there is one way to read the archive.

This file must not know what the members are for.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

from licensing.unpacking import MAX_BYTES, check_count, damaged, inflate, not_plain

_POSIX, _GNU = b"ustar\x0000", b"ustar  \x00"
_BLOCK = 512
_END_BLOCKS = 2
_FOLDER = b"5"
_FILES = (b"0", b"\x00")
_EXTENSIONS = (b"x", b"g")
_KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a pipe",
    b"K": "a link with a long name",
    b"L": "a file with a name of more than 100 bytes",
    b"S": "a sparse file",
}
_OCTAL = re.compile(rb" *([0-7]+)[ \x00]*")
_PAX_RECORD = re.compile(rb"([1-9][0-9]{0,5}) ([^=\n]+)=")
_PAX_HARMLESS = re.compile(
    rb"[acm]time|[ug]id|[ug]name|comment|LIBARCHIVE\.creationtime|(LIBARCHIVE|SCHILY)\.xattr\..*", re.DOTALL
)


def is_tar(data: bytes) -> bool:
    """Say whether the bytes begin like a tar with something in it."""
    return data[257:265] in {_POSIX, _GNU}


def gunzip(data: bytes) -> bytes:
    """Return the tar in a gzip file.

    Raises:
        UploadRefused: it is damaged, too large once unpacked, or not a tar.
    """
    tar = inflate(data, zlib.MAX_WBITS | 16, MAX_BYTES, "The gzip file")
    if not is_tar(tar) and tar.strip(b"\x00"):
        raise damaged("The gzip file does not hold a tar archive.")
    return tar


def untar(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield each member's name and contents; a folder's name ends in a slash.

    Raises:
        UploadRefused: the tar is not plain, not whole, or has too many members.
    """
    at = count = 0
    while (header := data[at : at + _BLOCK]).strip(b"\x00"):
        if len(header) < _BLOCK:
            raise damaged("The tar archive is cut short.")
        kind, name, size = _header(header)
        at += _BLOCK
        contents = data[at : at + size]
        at += -(-size // _BLOCK) * _BLOCK
        if at > len(data):
            raise damaged("The tar archive is cut short.")
        if kind in _EXTENSIONS:
            _check_extension(contents)
            continue
        count += 1
        check_count(count)
        yield name, contents
    if len(data) - at < _END_BLOCKS * _BLOCK:
        raise damaged("The tar archive is cut short: its end mark is missing.")
    if data[at:].strip(b"\x00"):
        raise not_plain("The tar archive has something after its end.")


def _header(header: bytes) -> tuple[bytes, str, int]:
    """Return a member's kind, name and size; a folder's name ends in a slash."""
    checksum = sum(header[:148]) + sum(b" " * 8) + sum(header[156:])
    if _octal(header[148:156]) != checksum:
        raise damaged("The tar archive is damaged: a header's checksum is wrong.")
    kind, size = header[156:157], _octal(header[124:136])
    name = _name(header)
    if kind == _FOLDER:
        return kind, name.rstrip("/") + "/", size
    if kind not in _FILES + _EXTENSIONS:
        raise not_plain(f"{name[:80]!r} in the archive is {_KINDS.get(kind, 'neither a file nor a folder')}.")
    return kind, name, size


def _name(header: bytes) -> str:
    name, prefix = header[:100].split(b"\x00")[0], header[345:500].split(b"\x00")[0]
    if header[257:265] == _POSIX and prefix:
        name = prefix + b"/" + name
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise not_plain("The tar archive has a member whose name is not UTF-8.") from None


def _octal(field: bytes) -> int:
    number = _OCTAL.fullmatch(field)
    if number is None:
        raise damaged("The tar archive is damaged: a header has no number where there must be one.")
    return int(number[1], 8)


def _check_extension(body: bytes) -> None:
    """Refuse a pax header that changes what a member is called or holds; when and by whom it was made is harmless."""
    at = 0
    while at < len(body):
        record = _PAX_RECORD.match(body, at)
        end = at + int(record[1]) if record else at
        if record is None or body[end - 1 : end] != b"\n":  # there is no line feed before the value
            raise damaged("The tar archive is damaged: an extended header cannot be read.")
        if not _PAX_HARMLESS.fullmatch(record[2]):
            name = record[2][:80].decode("ascii", errors="replace")
            raise not_plain(f"The tar archive uses the extension {name!r}, which changes what its members are.")
        at = end
