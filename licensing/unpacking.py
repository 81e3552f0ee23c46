"""What all readers of archives share: the limits, the three ways to refuse, and unpacking that cannot run away.

This file must not know any archive format, nor what is in an archive.
"""

from __future__ import annotations

import zlib

MAX_BYTES = 512 * 1024
"""The size of an upload once its base64 is undone, and again of everything in it once unpacked."""

MAX_MEMBERS = 16
"""How many members an archive has at most, folders included."""


class UploadRefused(Exception):  # noqa: N818 - it says what became of the upload
    """An upload that is not accepted: the code and HTTP status of the answer, what is wrong, and what to do next."""

    def __init__(self, code: str, http: int, text: str, hint: str) -> None:
        super().__init__(code, http, text, hint)
        self.code = code
        self.http = http
        self.text = text
        self.hint = hint

    def __str__(self) -> str:
        return self.text


def too_large(text: str) -> UploadRefused:
    """Return the refusal of what is over a limit."""
    limits = f"{MAX_BYTES // 1024} KiB, unpacked too, and {MAX_MEMBERS} members"
    return UploadRefused("too-large", 413, text, f"Install fewer licences at a time: an upload has at most {limits}.")


def damaged(text: str) -> UploadRefused:
    """Return the refusal of what is not whole, as the platform calls it: no valid licence data."""
    return UploadRefused("LICENSE.1006", 400, text, "Copy the file again, whole, from where it was received.")


def not_plain(text: str) -> UploadRefused:
    """Return the refusal of an archive that holds or does more than it should."""
    hint = "Pack the licence files anew, as a plain zip or tar.gz with nothing else in it."
    return UploadRefused("bad-archive", 400, text, hint)


def check_count(count: int) -> None:
    """Refuse more members than are allowed."""
    if count > MAX_MEMBERS:
        raise too_large(f"The archive has more than {MAX_MEMBERS} members.")


def inflate(packed: bytes, window: int, room: int, what: str) -> bytes:
    """Return what one whole deflate stream holds, unpacking no more than `room` bytes and one.

    `window` is zlib's `wbits`, which tells the stream's wrapping; `what` begins the sentence of a refusal.

    Raises:
        UploadRefused: it is too large, damaged or cut short, or something follows it.
    """
    stream = zlib.decompressobj(window)
    try:
        data = stream.decompress(packed, room + 1)
    except zlib.error:
        raise damaged(f"{what} is damaged: it cannot be unpacked.") from None
    if len(data) > room:
        raise too_large(f"{what} is too large once unpacked.")
    if not stream.eof:
        raise damaged(f"{what} is cut short.")
    if stream.unused_data:
        raise not_plain(f"{what} has something after its end.")
    return data
