"""The live view: a line for every change, whichever node tells it first."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import pytest

from console.api_client import SiteStatus
from console.demo_view import View, as_json, as_line
from tests.unit.console.site_stub import STATUS, TOKEN, SiteStub, changed, site_stub
from tests.waiting import eventually


class Paper:
    """Keeps what would be on the terminal."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def render(self, status: SiteStatus) -> str:
        """Show the state alone."""
        return status.key_state

    def show(self, line: str) -> None:
        """Keep a line."""
        self.lines.append(line)

    note = show


@asynccontextmanager
async def following(*stubs: SiteStub) -> AsyncIterator[Paper]:
    """Follow these nodes while the context is open."""
    paper = Paper()
    task = asyncio.create_task(View(paper).follow([stub.url for stub in stubs], TOKEN))
    try:
        yield paper
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def status_of(**members: Any) -> SiteStatus:
    """Return a status as read from the API."""
    return msgspec.json.decode(json.dumps(changed(**members)).encode(), type=SiteStatus)


async def test_a_change_is_one_line_though_two_nodes_tell_it() -> None:
    """The second node brings no second line, and neither does an answer that says nothing new."""
    async with site_stub() as a, site_stub() as b, following(a, b) as paper:
        await eventually(lambda: paper.lines == ["Ready"])
        for stub in (a, b):
            await stub.show(changed(keyState="Missing", index=13))
            await eventually(lambda: paper.lines[-1] == "Missing")
        await a.show(changed(keyState="Missing", index=14))
        await b.show(changed(keyState="Fault", index=15))
        await eventually(lambda: paper.lines == ["Ready", "Missing", "Fault"])


async def test_a_node_that_lags_behind_contradicts_nobody() -> None:
    """An older publication is not shown after a newer one."""
    async with site_stub() as a, site_stub() as b, following(a, b) as paper:
        await eventually(lambda: paper.lines == ["Ready"])
        await a.show(changed(keyState="Fault", index=20))
        await eventually(lambda: paper.lines[-1] == "Fault")
        asked = len(b.asked)
        await b.show(changed(keyState="Missing", index=19))
        await eventually(lambda: len(b.asked) > asked)
        assert paper.lines == ["Ready", "Fault"]


async def test_it_waits_for_news_instead_of_asking_again() -> None:
    """While nothing changes there is one question per node under way."""
    async with site_stub() as a, following(a) as paper:
        await eventually(lambda: paper.lines and len(a.asked) == 2)
        assert a.asked == ["/v1/status?wait=0", "/v1/status?wait=30"]


async def test_silence_is_told_once_and_the_return_too() -> None:
    """When no node answers any more that is one line; the status is shown again when one is back."""
    async with site_stub() as a, following(a) as paper:
        await eventually(lambda: paper.lines == ["Ready"])
        a.code, a.body = 503, b"{}"
        await a.show({})
        await eventually(lambda: paper.lines == ["Ready", "No node answers."])
        a.code = 200
        await a.show(STATUS)
        await eventually(lambda: paper.lines == ["Ready", "No node answers.", "Ready"])


def test_the_line_says_what_matters() -> None:
    """State, licence, buffer, alerts, leader, and every node with its keys, virtual IP and reach."""
    line = as_line(status_of(alerts=["expiring"], stale=True))
    for part in ("Ready", "K1 Valid until 2027-05-01", "no buffer", "expiring", "a leads", "a [VIP]: K1", "STALE"):
        assert part in line
    assert "b [not reachable]: no key" in line
    line = as_line(status_of(license={"name": None, "expires": None, "status": "Expired"}, leader=None))
    assert "licence none Expired" in line
    assert "nobody leads" in line


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ({"reading": "ok", "assurance": "proven"}, "K1"),
        ({"reading": "ok", "assurance": "copyable"}, "K1 (copyable)"),
        ({"reading": "ok"}, "K1"),
        ({"reading": "faulty", "assurance": None}, "K1 (faulty)"),
    ],
    ids=["proven", "copyable", "not-told", "faulty"],
)
def test_a_key_is_shown_with_what_is_not_as_it_should_be(key: dict[str, str], shown: str) -> None:
    """A key that works and proved itself needs no word."""
    node = STATUS["nodes"][0] | {"ukeys": [{"keyId": "K1", "reason": ""} | key]}
    assert as_line(status_of(nodes=[node])).endswith(f"a [VIP]: {shown}")


def test_a_key_cannot_write_to_the_terminal() -> None:
    """A USB key names itself: control sequences in its name come to nothing."""
    node = STATUS["nodes"][0] | {"ukeys": [{"keyId": "\x1b[2J", "reading": "ok", "reason": ""}]}
    assert as_line(status_of(nodes=[node])).isprintable()


def test_the_json_line_has_the_words_of_the_api() -> None:
    """Programs read the same names as everywhere."""
    event = json.loads(as_json(status_of(buffer={"expires": "2026-06-01T00:00:00Z"})))
    assert event["license"] == {"name": "K1", "status": "Valid", "expires": "2027-05-01T00:00:00Z"}
    assert event["buffer"] == {"expires": "2026-06-01T00:00:00Z"}
    assert [event[name] for name in ("event", "keyState", "alerts", "leader")] == ["status", "Ready", [], "a"]
