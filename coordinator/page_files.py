"""`GET /` and `GET /page/…`: the files of the web page, read once at the start and answered from memory.

Only what was found in the page's own folder can be named, so no path leads out of it. Knows nothing of what the files
say; a browser is told to load nothing from elsewhere, and to run no script that is not one of them.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple

from aiohttp import web

from coordinator.calls import Call, Content, Parameter
from coordinator.errors import ApiError

FIRST = "index.html"
SAFETY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""What every answer of the page tells the browser."""

_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_ANY_FILE: Content = dict.fromkeys(_TYPES.values(), str)


class Form(NamedTuple):
    """The bytes of a file as they are sent; `coding` is empty where they are those of the file itself."""

    body: bytes
    etag: str
    coding: str = ""


class PageFile(NamedTuple):
    """A file of the page; `packed` is None where packing would save nothing."""

    content_type: str
    plain: Form
    packed: Form | None


Page = Mapping[str, PageFile]
"""The files by their names."""
PAGE: web.AppKey[Page] = web.AppKey("page")


@cache
def shipped() -> Page:
    """Return the page that comes with this package."""
    return read_page(files("coordinator").joinpath("page"))


def read_page(folder: Traversable) -> Page:
    """Return the files of a folder that a browser can be given; those of other types are left out."""
    types = {file: _TYPES.get(file.name.rpartition(".")[2]) for file in folder.iterdir() if file.is_file()}
    return {file.name: _prepared(kind, file.read_bytes()) for file, kind in types.items() if kind is not None}


def _prepared(kind: str, body: bytes) -> PageFile:
    tag, packed = hashlib.sha256(body).hexdigest()[:32], gzip.compress(body, mtime=0)
    smaller = len(packed) < len(body)
    return PageFile(
        f"{kind}; charset=utf-8",
        Form(body, f'"{tag}"'),
        Form(packed, f'"{tag}-gzip"', "gzip") if smaller else None,
    )


async def get_index(request: web.Request) -> web.Response:
    """`GET /`: the page itself."""
    return _answer(request, FIRST)


async def get_file(request: web.Request) -> web.Response:
    """`GET /page/{file}`."""
    return _answer(request, request.match_info["file"])


def _answer(request: web.Request, name: str) -> web.Response:
    file = request.app[PAGE].get(name)
    if file is None:
        raise ApiError(404, "not-found", "The page has no such file.", hint="Open the page at /.", headers=SAFETY)
    form = file.packed if file.packed and _takes_gzip(request.headers.get("Accept-Encoding", "")) else file.plain
    headers = SAFETY | {"ETag": form.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if any(tag.value == "*" or f'"{tag.value}"' == form.etag for tag in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    headers |= {"Content-Type": file.content_type} | ({"Content-Encoding": form.coding} if form.coding else {})
    return web.Response(body=form.body, headers=headers)


def _takes_gzip(accepted: str) -> bool:
    """Whether a header Accept-Encoding allows gzip; what cannot be read allows nothing."""
    weights = {}
    for part in accepted.lower().split(","):
        coding, _, weight = part.partition(";")
        weights[coding.strip()] = weight.replace(" ", "").removeprefix("q=") or "1"
    try:
        return float(weights.get("gzip", weights.get("*", "0"))) > 0
    except ValueError:
        return False


CALLS: tuple[Call, ...] = (
    Call("GET", "/", get_index, None, "Give the web page.", {200: {"text/html": str}, 304: {}}, refuses=(404,)),
    Call(
        "GET",
        "/page/{file}",
        get_file,
        None,
        "Give a file of the web page.",
        {200: _ANY_FILE, 304: {}},
        parameters=(Parameter("file", str, "The name of the file.", "path", required=True),),
        refuses=(404,),
    ),
)
