"""The files of the web page: which there are, how they are sent, and what the browser is told with them."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from coordinator.page_files import PAGE, SAFETY, read_page, shipped
from tests.unit.coordinator.serving import Node, refusal

SCRIPT = "export const word = 'é';\n".encode() * 50
FILES = {
    "index.html": b"<!doctype html><title>x</title>",
    "app.js": SCRIPT,
    "look.css": b"a{}" * 100,
    "icon.svg": b"<svg/>" * 50,
    "notes.md": b"not for browsers",
    "__init__.py": b"",
}
GZIP = {"Accept-Encoding": "gzip"}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[TestClient[Any, Any]]:
    """Give a client of a node with a page of these files, beside which there is a secret."""
    folder = tmp_path / "page"
    (folder / "folder.js").mkdir(parents=True)
    (tmp_path / "secret.js").write_bytes(b"secret")
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    node = Node()
    node.app[PAGE] = read_page(folder)
    async with TestClient(TestServer(node.app), auto_decompress=False, skip_auto_headers=["Accept-Encoding"]) as found:
        yield found


@pytest.mark.parametrize(
    ("path", "name", "kind"),
    [
        ("/", "index.html", "text/html"),
        ("/page/index.html", "index.html", "text/html"),
        ("/page/app.js", "app.js", "text/javascript"),
        ("/page/look.css", "look.css", "text/css"),
        ("/page/icon.svg", "icon.svg", "image/svg+xml"),
    ],
    ids=["root", "html", "js", "css", "svg"],
)
async def test_the_files_are_given_to_everybody(client: TestClient[Any, Any], path: str, name: str, kind: str) -> None:
    """Without a token, as they are, with their type, and with what keeps the browser to them."""
    response = await client.get(path)
    assert (response.status, await response.read()) == (200, FILES[name])
    assert response.headers["Content-Type"] == f"{kind}; charset=utf-8"
    assert "Content-Encoding" not in response.headers
    told_the_browser(response)


def told_the_browser(response: ClientResponse) -> None:
    """Assert that an answer has the headers of safety."""
    assert {name: response.headers.get(name) for name in SAFETY} == SAFETY


def test_a_page_may_load_and_run_its_own_files_alone() -> None:
    """Nothing inline, nothing from elsewhere, in nobody's frame."""
    assert SAFETY["Content-Security-Policy"].split("; ") == [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
    assert SAFETY["X-Content-Type-Options"] == "nosniff"
    assert SAFETY["Referrer-Policy"] == "no-referrer"
    assert SAFETY["Cross-Origin-Opener-Policy"] == "same-origin"


NOT_THERE = [
    "/page/",
    "/page/none.js",
    "/page/notes.md",
    "/page/__init__.py",
    "/page/folder.js",
    "/page/%2e%2e%2fsecret.js",
    "/page/..%2fsecret.js",
    "/page//etc/passwd",
    "/page/app.js%00",
    "/page/index.html/",
]


@pytest.mark.parametrize("path", NOT_THERE, ids=range(len(NOT_THERE)))
async def test_nothing_else_can_be_named(client: TestClient[Any, Any], path: str) -> None:
    """What is in no list is not there: other types, folders, and whatever is outside."""
    response = await client.get(URL(path, encoded=True))
    assert (await refusal(response))[:2] == (404, "not-found")


async def test_a_refusal_of_the_page_is_as_safe_as_the_page(client: TestClient[Any, Any]) -> None:
    """Whoever is led to a file that is not there has the same protection."""
    told_the_browser(await client.get("/page/none.js"))


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("br, gzip;q=0.5", True),
        ("deflate, *", True),
        ("", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("*;q=1, gzip;q=0", False),
        ("gzip;q=x", False),
        ("gzip;x", False),
    ],
    ids=range(11),
)
async def test_a_file_is_packed_where_that_is_understood(
    client: TestClient[Any, Any], accepted: str, *, packed: bool
) -> None:
    """The packed form is the same file under another tag, and caches are told that there are two."""
    plain = await client.get("/page/app.js")
    response = await client.get("/page/app.js", headers={"Accept-Encoding": accepted})
    body = await response.read()
    assert response.headers.get("Content-Encoding", "") == ("gzip" if packed else "")
    assert (gzip.decompress(body) if packed else body) == SCRIPT
    assert (response.headers["ETag"] != plain.headers["ETag"]) == packed
    assert (len(body) < len(SCRIPT)) == packed
    assert response.headers["Vary"] == "Accept-Encoding"
    told_the_browser(response)


async def test_what_packing_makes_larger_is_sent_as_it_is(client: TestClient[Any, Any]) -> None:
    """A short file has no packed form."""
    response = await client.get("/", headers=GZIP)
    assert "Content-Encoding" not in response.headers
    assert await response.read() == FILES["index.html"]


@pytest.mark.parametrize("headers", [{}, GZIP], ids=["plain", "packed"])
async def test_a_file_that_is_known_is_not_sent_again(client: TestClient[Any, Any], headers: dict[str, str]) -> None:
    """The browser asks every time and is told 304; an unknown tag or the other form's gets the file."""
    first = await client.get("/page/app.js", headers=headers)
    etag = first.headers["ETag"]
    assert etag.startswith('"')
    assert first.headers["Cache-Control"] == "no-cache"
    for known in (etag, f'"x", {etag}', f"W/{etag}", "*"):
        again = await client.get("/page/app.js", headers=headers | {"If-None-Match": known})
        assert (again.status, await again.read(), again.headers["ETag"]) == (304, b"", etag)
        told_the_browser(again)
    other = await client.get("/page/app.js", headers={} if headers else GZIP)
    for unknown in ('"x"', "junk", other.headers["ETag"]):
        assert (await client.get("/page/app.js", headers=headers | {"If-None-Match": unknown})).status == 200


async def test_the_head_alone_can_be_asked_for(client: TestClient[Any, Any]) -> None:
    """HEAD tells what GET would."""
    response = await client.head("/page/app.js", headers=GZIP)
    assert (response.status, response.headers["Content-Encoding"], await response.read()) == (200, "gzip", b"")


def test_the_page_comes_with_the_package() -> None:
    """What is installed has the page itself, and every file of it has a form to be sent in."""
    page = shipped()
    assert page["index.html"].plain.body.lower().startswith(b"<!doctype html>")
    for file in page.values():
        assert file.packed is None or gzip.decompress(file.packed.body) == file.plain.body
