"""What a browser gets from a real site: the page, a session that both nodes know, and the calls that the page makes."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import http.client
import io
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from cluster.local_etcd import LOOPBACK
from tests.site import Answer, LiveSite
from tests.waiting import eventually_sync

READER = "a token that may only read"
PACKED = {"Accept-Encoding": "gzip"}
ELSEWHERE = "127.0.0.2"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """Run a site of two nodes with a second token, which may only read."""
    site = LiveSite(tmp_path_factory.mktemp("site"))
    try:
        add_reader(site)
        site.start()
        yield site
    finally:
        site.close()


def add_reader(site: LiveSite) -> None:
    """Add the reader's token to the tokens file of both nodes."""
    tokens = site.site.folder / "tokens.json"
    known = json.loads(tokens.read_bytes())["tokens"]
    reader = {"name": "reader", "sha256": hashlib.sha256(READER.encode()).hexdigest(), "scopes": ["read"]}
    tokens.write_text(json.dumps({"tokens": [*known, reader]}), encoding="utf-8")


class Browser:
    """A browser's calls: it has no token, but the cookie that it was given, on whichever node.

    `address` is the one of this machine's that it calls from.
    """

    def __init__(self, site: LiveSite, address: str = LOOPBACK) -> None:
        self.site = site
        self.cookie = ""
        self._address = (address, 0)

    def call(
        self, label: str, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Make a call as the node's own page would, unless other headers are given."""
        port = self.site.nodes[label].port
        given = {"Cookie": self.cookie} if self.cookie else {}
        own = {"Origin": f"http://{LOOPBACK}:{port}"} if method != "GET" else {}
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=10, source_address=self._address)
        try:
            connection.request(method, path, body, given | (own if headers is None else headers))
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def give(self, label: str, token: str) -> Answer:
        """Give a token."""
        return self.call(label, "POST", "/v1/session", json.dumps({"token": token}).encode())

    def sign_in(self, label: str, token: str) -> dict[str, Any]:
        """Give a token that is known, keep the cookie, and return the answer."""
        answer = self.give(label, token)
        assert answer.status == 200, answer.body
        self.cookie = str(answer.headers["Set-Cookie"]).partition(";")[0]
        session: dict[str, Any] = json.loads(answer.body)
        return session


@pytest.fixture
def browser(site: LiveSite) -> Browser:
    """Give a browser in front of a site at rest."""
    return Browser(site)


def code_of(answer: Answer) -> str:
    """Return the code of a refusal."""
    return str(json.loads(answer.body)["error"]["code"])


def test_both_nodes_give_the_page_to_everybody(browser: Browser) -> None:
    """The same bytes under the same tag, packed, and allowed to load nothing from elsewhere."""
    answers = [browser.call(label, "GET", "/", headers=PACKED) for label in "ab"]
    assert {answer.status for answer in answers} == {200}
    assert len({(answer.body, answer.headers["ETag"]) for answer in answers}) == 1
    assert answers[0].headers["Content-Type"] == "text/html; charset=utf-8"
    assert str(answers[0].headers["Content-Security-Policy"]).startswith("default-src 'none'; script-src 'self'")
    known = PACKED | {"If-None-Match": str(answers[0].headers["ETag"])}
    again = browser.call("b", "GET", "/", headers=known)
    assert (again.status, again.body) == (304, b"")


OUTSIDE = [
    "/page/../page_files.py",
    "/page/..%2fpage_files.py",
    "/page/%2e%2e/page_files.py",
    "/page/..",
    "/page//etc/passwd",
    "/page/..\\page_files.py",
    "/../../../../etc/passwd",
]


@pytest.mark.parametrize("path", OUTSIDE, ids=range(len(OUTSIDE)))
def test_no_path_leads_out_of_the_page(site: LiveSite, path: str) -> None:
    """Sent as it is, without a client that tidies it up: what is outside is not there."""
    with socket.create_connection((LOOPBACK, site.nodes["a"].port), timeout=10) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}\r\nConnection: close\r\n\r\n".encode())
        with connection.makefile("rb") as answer:
            content = answer.read()
    assert b"def read_page" not in content
    assert b"root:" not in content
    assert content.startswith((b"HTTP/1.1 404", b"HTTP/1.1 200"))
    if content.startswith(b"HTTP/1.1 200"):  # `..` is nothing but the page itself
        assert b"<!doctype html>" in content.lower()


def test_a_session_of_one_node_is_known_to_the_other(browser: Browser) -> None:
    """A virtual IP that moves, or a node that starts anew, signs nobody out."""
    signed_in = browser.sign_in("a", browser.site.site.token)
    assert browser.site.site.token not in browser.cookie
    for label in "ab":
        assert json.loads(browser.call(label, "GET", "/v1/session").body) == signed_in
    browser.site.coordinators["a"].end()
    browser.site.start()
    assert json.loads(browser.call("a", "GET", "/v1/session").body) == signed_in


def test_what_a_session_changes_comes_from_the_page_alone(browser: Browser) -> None:
    """With the right scope and from the page it is done; from nowhere, or by a reader, it is not."""
    browser.sign_in("a", browser.site.site.token)
    assert browser.call("b", "POST", "/v1/licenses/request-code").status == 200
    refused = browser.call("b", "POST", "/v1/licenses/request-code", headers={})
    assert (refused.status, code_of(refused)) == (403, "foreign-origin")
    browser.sign_in("b", READER)
    refused = browser.call("b", "POST", "/v1/licenses/request-code")
    assert (refused.status, code_of(refused)) == (403, "forbidden")
    assert browser.call("b", "GET", "/v1/status").status == 200


def test_who_signs_out_or_has_another_cookie_is_out(browser: Browser) -> None:
    """The browser is told to forget the cookie, and a spoilt one is told to be no session any more."""
    browser.sign_in("a", READER)
    out = browser.call("b", "DELETE", "/v1/session")
    assert out.status == 204
    assert "Max-Age=0" in str(out.headers["Set-Cookie"])
    browser.cookie = browser.cookie[:-2]
    refused = browser.call("a", "GET", "/v1/status")
    assert (refused.status, code_of(refused)) == (401, "session-expired")


def test_a_token_that_is_withdrawn_ends_its_sessions(browser: Browser) -> None:
    """Once the coordinators have read the file without it, the cookie counts no more."""
    browser.sign_in("a", READER)
    tokens = browser.site.site.folder / "tokens.json"
    before = tokens.read_bytes()
    known = [token for token in json.loads(before)["tokens"] if token["name"] != "reader"]
    try:
        tokens.write_text(json.dumps({"tokens": known}), encoding="utf-8")
        restart(browser.site)
        refused = browser.call("a", "GET", "/v1/status")
        assert (refused.status, code_of(refused)) == (401, "session-expired")
    finally:
        tokens.write_bytes(before)
        restart(browser.site)


def restart(site: LiveSite) -> None:
    """Start both coordinators anew."""
    for coordinator in site.coordinators.values():
        coordinator.end()
    site.start()


def test_guessing_is_slowed_down(site: LiveSite, browser: Browser) -> None:
    """After some wrong tokens the next one from there has to wait, wherever it is shown; the right one need not."""
    guesser = Browser(site, ELSEWHERE)
    answers = [guesser.give("b", f"guess {n}") for n in range(15)]
    assert [answer.status for answer in answers[:10]] == [401] * 10
    assert answers[-1].status == 429
    assert int(str(answers[-1].headers["Retry-After"])) > 0
    shown = guesser.call("b", "GET", "/v1/status", headers={"Authorization": "Bearer guess"})
    assert (shown.status, code_of(shown)) == (429, "too-many-requests")
    guesser.sign_in("b", READER)
    browser.sign_in("b", READER)


def test_removals_and_buffers_are_told(browser: Browser) -> None:
    """After a key was pulled, both nodes tell when, from where, and what it was granted."""
    site = browser.site
    site.plug("a", site.new_key("pulled"))
    site.wait_for_all(lambda status: status["keyState"] == "Ready")
    site.unplug("a", "pulled")
    status = site.wait_for("b", lambda status: status["buffer"])
    browser.sign_in("b", READER)
    first = eventually_sync(lambda: removal(browser, "pulled"))
    assert (first["node"], first["inUse"]) == (site.nodes["a"].uuid, True)
    assert first["lastRemoval"] == first["outSince"]
    assert first["bufferExpires"] == first["bufferUncapped"] == status["buffer"]["expires"]


def removal(browser: Browser, key_id: str) -> dict[str, Any] | None:
    """Return what is told of the last removal of a key, once it is the newest of all."""
    body = json.loads(browser.call("b", "GET", "/v1/licenses/removals").body)
    first: dict[str, Any] = body["inventories"][0]
    return first if first["keyId"] == key_id and first["lastRemoval"] else None


def test_records_are_found_and_exported(browser: Browser) -> None:
    """Filters work on a real etcd in every order; the file has the same records as the page."""
    site = browser.site
    site.plug("a", site.new_key("Findable"))
    site.wait_for_all(lambda status: status["keyState"] == "Ready")
    browser.sign_in("a", READER)
    for order in ("uploadDate", "issuedDate", "expiredDate"):
        query = f"text=findABLE&managementType=usb-key&sortBy={order}&sortDirection=desc"
        page = json.loads(browser.call("a", "GET", f"/v1/licenses/records?{query}").body)
        assert page["total"] == len(page["inventories"]) >= 1
        assert {record["name"] for record in page["inventories"]} == {"Findable"}
        file = browser.call("a", "GET", f"/v1/licenses/records.csv?{query}")
        rows = list(csv.DictReader(io.StringIO(file.body.decode("utf-8-sig"), newline="")))
        assert [row["hash"] for row in rows] == [record["hash"] for record in page["inventories"]]
    everything = json.loads(browser.call("a", "GET", "/v1/licenses/records").body)
    assert everything["total"] > page["total"]


def test_a_reader_may_have_the_history_verified(browser: Browser) -> None:
    """On either node, and it is as it was written."""
    browser.sign_in("a", READER)
    for label in "ab":
        assert json.loads(browser.call(label, "GET", "/v1/licenses/records/verification").body)["intact"]


def test_the_node_tells_its_time_with_every_answer(browser: Browser) -> None:
    """And on the stream before anything else: who has the newest answer already still knows that the node is there."""
    browser.sign_in("a", READER)
    told = str(browser.call("a", "GET", "/v1/status").headers["Twinkey-Time"])
    assert abs((dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(told)).total_seconds()) < 10
    index = browser.site.status("a")["index"]
    request = ("GET", "/v1/status/stream", None, {"Cookie": browser.cookie, "Last-Event-ID": str(index)})
    connection = http.client.HTTPConnection(LOOPBACK, browser.site.nodes["a"].port, timeout=3)
    try:
        connection.request(*request)
        answer = connection.getresponse()
        assert answer.headers["Twinkey-Time"]
        assert answer.readline().startswith(b": 20")
    finally:
        connection.close()
