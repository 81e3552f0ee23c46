"""What an uploaded body holds: one licence file, a zip, a tar or a tar.gz of some, or the base64 of any of these.

Everything is unpacked in memory and within limits. An archive holds licence files and nothing else: whatever is not
one refuses the whole upload.

This file knows what may be in an archive, and how to make one. It must not know who signed a licence or whether it is
of use: that is for `licensing.envelope` to verify.
"""

from __future__ import annotations

import binascii
import io
import re
import stat
import zipfile
from base64 import b64decode
from collections.abc import Iterable
from typing import Literal

import msgspec

from licensing.envelope import LicenceRefused, Refusal, peek
from licensing.unpacking import MAX_BYTES, UploadRefused, damaged, not_plain, too_large
from licensing.untar import gunzip, is_tar, untar
from licensing.unzip import unzip

__all__ = ["LicenceFile", "UploadRefused", "pack", "read_upload"]

MAX_NAME = 255

_MAX_RECEIVED = MAX_BYTES * 3 // 2  # base64 takes a third more, and its line breaks a little
_BLANKS = b" \t\r\n"
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NO_LICENCE = {Refusal.TOO_LARGE, Refusal.NOT_A_LICENCE, Refusal.TRUNCATED}


class LicenceFile(msgspec.Struct, frozen=True):
    """One licence file as it was uploaded, not verified; `name` is its path in the archive, empty without one."""

    name: str
    data: bytes


def read_upload(data: bytes) -> tuple[LicenceFile, ...]:
    """Return the licence files in an upload, one or more, in the archive's order; signatures are not looked at.

    Raises:
        UploadRefused: anything else.
    """
    if len(data) > _MAX_RECEIVED:
        raise too_large(f"The upload has {len(data)} bytes.")
    data = _without_base64(data)
    if len(data) > MAX_BYTES:
        raise too_large(f"The upload has {len(data)} bytes.")
    match _kind(data):
        case "zip":
            return _licences(unzip(data))
        case "gzip":
            return _licences(untar(gunzip(data)))
        case "tar":
            return _licences(untar(data))
        case None:
            return (_licence("", data),)


def pack(files: Iterable[LicenceFile]) -> bytes:
    """Return a zip of licence files: the same bytes for the same files, in whichever order and on whichever machine.

    Raises:
        UploadRefused: no node would accept the archive, or not under these names.
    """
    ordered = sorted(files, key=lambda file: file.name)
    _check_names([file.name for file in ordered])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:  # what deflate makes differs between builds
        for file in ordered:
            entry = zipfile.ZipInfo(file.name)  # dated 1980, which is where zip's time begins
            entry.create_system, entry.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, file.data)
    read_upload(packed.getvalue())
    return packed.getvalue()


def _check_names(names: list[str]) -> None:
    for name in names:
        if _plain_name(name) != name:
            raise not_plain(f"A licence file cannot be named {name!r} in an archive.")
    if len(set(names)) < len(names):
        raise not_plain("Two licence files cannot have the same name in an archive.")


def _without_base64(data: bytes) -> bytes:
    """Return what base64 text stands for, with or without line breaks and padding; anything else as it is."""
    text = data.translate(None, _BLANKS)
    digits = text.rstrip(b"=")
    if not digits or len(text) - len(digits) > 2 or digits.translate(None, _BASE64):  # noqa: PLR2004 - pads by two at most
        return data
    try:
        return b64decode(digits + b"=" * (-len(digits) % 4), validate=True)
    except binascii.Error:
        raise damaged("This is not a licence file, or its base64 text is cut short.") from None


def _kind(data: bytes) -> Literal["zip", "gzip", "tar"] | None:
    """Tell an archive by its signature; a licence file has none of them, even with a damaged byte."""
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if data.startswith(b"\x1f\x8b"):
        return "gzip"
    return "tar" if is_tar(data) else None


def _licences(members: Iterable[tuple[str, bytes]]) -> tuple[LicenceFile, ...]:
    """Return the members of an archive, which must be licence files, or empty folders."""
    names, files = set[str](), list[LicenceFile]()
    for written, data in members:
        name, folder = _plain_name(written), written.endswith("/")
        if name in names:
            raise not_plain(f"The archive has two members named {name!r}.")
        names.add(name)
        if folder and not data:
            continue
        if folder or not name:
            raise not_plain(f"The archive has a file named {written!r}, which is a folder's name.")
        files.append(_licence(name, data))
    if not files:
        raise damaged("There is no licence file in the archive.")
    return tuple(files)


def _plain_name(name: str) -> str:
    """Return a member's name without empty and `.` parts; refused is what anyone could take for a place elsewhere."""
    parts = name.split("/")
    if len(name) > MAX_NAME or not name.isprintable():
        raise not_plain(f"The archive has a member named {name[:80]!r}, which is too long or not printable.")
    if name.startswith("/") or ".." in parts or "\\" in name or re.match("[A-Za-z]:", name):
        raise not_plain(f"The archive has a member named {name!r}, which points out of the archive.")
    return "/".join(part for part in parts if part not in {"", "."})


def _licence(name: str, data: bytes) -> LicenceFile:
    """Return the file if it is a licence file or was one before it was altered, which is for its signature to tell."""
    if _kind(data):
        raise not_plain(f"The archive holds another archive, {name!r}.")
    try:
        peek(data)
    except LicenceRefused as refused:
        if refused.refusal in _NO_LICENCE:
            text = f"{name!r} in the archive: {refused.text}" if name else refused.text
            raise UploadRefused(refused.code, refused.http, text, refused.hint) from refused
    return LicenceFile(name, data)
