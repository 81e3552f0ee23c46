"""Waiting for news over HTTP: a client of one node hears at once what happens on the other."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.site import LiveSite, keys_in
from tests.waiting import eventually_sync

PROMPT = 0.5


def waiting(site: LiveSite, path: str, etag: str | None = None) -> tuple[float, int, dict[str, object]]:
    """Ask node b and return when it answered, with which HTTP status and body."""
    answer = site.get("b", path, {"If-None-Match": etag} if etag else {}, within=20)
    return time.monotonic(), answer.status, json.loads(answer.body or b"{}")


@pytest.mark.parametrize("knows", ["index", "etag"])
def test_a_plug_on_one_node_ends_the_long_poll_on_the_other(site: LiveSite, knows: str) -> None:
    """A long poll on node b returns promptly, with the new key, after a plug on node a; until then it waits."""
    before = site.get("b", "/v1/status")
    index = json.loads(before.body)["index"]
    etag = before.headers["ETag"] if knows == "etag" else None
    path = "/v1/status?wait=15" + ("" if etag else f"&index={index}")
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(waiting, site, path, etag)
        eventually_sync(lambda: threading.active_count() > 1)
        assert not poll.done()
        plugged_at = time.monotonic()
        site.plug("a", site.new_key(f"poll-{knows}"))
        answered_at, status, body = poll.result(timeout=10)
    assert status == 200
    assert body["index"] == index + 1
    assert keys_in(body)["a"] == {f"poll-{knows}": "ok"}
    assert answered_at - plugged_at < PROMPT


def test_a_long_poll_without_news_ends_with_not_modified(site: LiveSite) -> None:
    """With the entity tag of the newest answer a poll gives 304 and no body, at once or after its wait."""
    etag = site.get("b", "/v1/status").headers["ETag"]
    for wait in (0, 0.4):
        began = time.monotonic()
        answer = site.get("b", f"/v1/status?wait={wait}", {"If-None-Match": etag})
        assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", etag)
        assert wait <= time.monotonic() - began < wait + PROMPT


def test_both_nodes_give_the_same_bytes_under_both_prefixes(site: LiveSite) -> None:
    """At rest the two nodes, and the platform's own prefix, give one and the same answer with one entity tag."""
    site.plug("a", site.new_key("same"))
    site.wait_for_all(lambda status: status["keyState"] == "Ready")
    answers = [site.get(label, prefix + "/status") for label in "ab" for prefix in ("/v1", "/zstack/v1")]
    assert len({(answer.body, answer.headers["ETag"]) for answer in answers}) == 1
