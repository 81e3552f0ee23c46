"""The one file in a multipart form, as curl and browsers send it. Pure; knows nothing of licences.

The body is in memory already and small, so it is split at once.
"""

from __future__ import annotations

from email.message import Message
from email.parser import BytesHeaderParser

MOST_PARTS = 16


class BadForm(ValueError):  # noqa: N818 - it says what the body is
    """The body is not a form with exactly one file; the text says why."""


def file_in_form(content_type: str, body: bytes) -> bytes:
    """Return the file in a `multipart/form-data` body; plain fields beside it do not count.

    Raises:
        BadForm
    """
    files = [data for headers, data in _parts(content_type, body) if headers.get_filename() is not None]
    if len(files) != 1:
        raise BadForm(f"The form has {len(files)} files; send one, and several licences in one archive.")
    return files[0]


def _parts(content_type: str, body: bytes) -> list[tuple[Message, bytes]]:
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_boundary()
    if not boundary:
        raise BadForm("The form's Content-Type names no boundary.")
    _, *pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("ascii", "replace"), MOST_PARTS + 1)
    if not pieces or not pieces[-1].startswith(b"--"):
        raise BadForm("The form is cut short, or has too many parts.")
    return [_part(piece) for piece in pieces[:-1]]


def _part(piece: bytes) -> tuple[Message, bytes]:
    padding, line_end, rest = piece.partition(b"\r\n")
    headers, blank, data = rest.partition(b"\r\n\r\n")
    if padding.strip(b" \t") or not line_end or not blank:
        raise BadForm("A part of the form is not written as it should be.")
    return BytesHeaderParser().parsebytes(headers + b"\r\n\r\n"), data
