"""The file in a form, as browsers and curl send it and as nobody should."""

from __future__ import annotations

import contextlib

import pytest
from aiohttp import FormData
from aiohttp.abc import AbstractStreamWriter
from hypothesis import given
from hypothesis import strategies as st

from coordinator.forms import BadForm, file_in_form

TYPE = "multipart/form-data; boundary=X"
FILE = b'Content-Disposition: form-data; name="file"; filename="a.lic"\r\n'


def form(*parts: bytes, boundary: bytes = b"X") -> bytes:
    """Return a form of these parts."""
    return b"".join(b"--%s\r\n%s\r\n" % (boundary, part) for part in parts) + b"--%s--\r\n" % boundary


class Collected(AbstractStreamWriter):
    """What a client would write to its connection."""

    def __init__(self) -> None:
        self.data = b""

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        self.data += bytes(chunk)

    async def write_eof(self, chunk: bytes = b"") -> None:
        """Keep it."""
        self.data += chunk

    async def drain(self) -> None:
        """Nothing to wait for."""

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        """Not here."""

    def enable_chunking(self) -> None:
        """Not here."""

    async def write_headers(self, status_line: str, headers: object) -> None:
        """Not here."""


@pytest.mark.parametrize("data", [b"", b"licence\n", b"\r\n--X-no\r\n--", bytes(range(256)) * 4])
async def test_what_a_client_sends_is_found(data: bytes) -> None:
    """A real client's form, with a plain field beside the file, gives the file byte for byte."""
    made = FormData()
    made.add_field("note", "for the site")
    made.add_field("file", data, filename="a.lic")
    payload, out = made(), Collected()
    await payload.write(out)
    assert file_in_form(payload.headers["Content-Type"], out.data) == data


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", form(FILE + b"\r\ndata")),
        (TYPE, b""),
        (TYPE, form()),
        (TYPE, form(b'Content-Disposition: form-data; name="file"\r\n\r\ndata')),
        (TYPE, form(FILE + b"\r\none", FILE + b"\r\ntwo")),
        (TYPE, form(FILE + b"\r\ndata")[:-6]),
        (TYPE, form(FILE + b"no blank line")),
        (TYPE, form(*[FILE + b"\r\ndata"] * 40)),
        (TYPE, form(FILE + b"\r\ndata", boundary=b"Y")),
        (TYPE, b"--Xmore\r\n" + form(FILE + b"\r\ndata")),
    ],
)
def test_what_is_not_a_form_with_one_file_is_refused(content_type: str, body: bytes) -> None:
    """No boundary, no end, no file or several: refused with a sentence."""
    with pytest.raises(BadForm):
        file_in_form(content_type, body)


@given(st.text(max_size=40), st.binary(max_size=200))
def test_nothing_else_ever_happens(content_type: str, body: bytes) -> None:
    """Whatever is sent, the answer is a file or a refusal."""
    for kind in (content_type, TYPE):
        for sent in (body, form(body), form(FILE + body)):
            with contextlib.suppress(BadForm):
                assert isinstance(file_in_form(kind, sent), bytes)
