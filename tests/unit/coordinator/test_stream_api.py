"""The status as server-sent events."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientResponse, ClientSession, web
from msgspec.structs import replace

from cluster.local_etcd import LOOPBACK
from coordinator.audience import AUDIENCE, HEARTBEAT
from coordinator.board import Answer
from coordinator.guarding import GUARD
from coordinator.tokens import TokenFile
from tests.unit.coordinator.serving import AS_ADMIN, AUTH, READER, TOKENS, Node, answer
from tests.unit.coordinator.stored import KEYS, NOW, SECOND, A, at_rest, publish, stored_report
from tests.waiting import eventually

PATH = "/v1/status/stream"
AT_REST = publish(at_rest())
FIRST = answer(AT_REST)
NEXT = answer(publish(AT_REST | {KEYS.node(A): stored_report(A)}, NOW + SECOND))
STALE = answer(AT_REST, connected=False)
LARGE = 64 * 1024
AT_FIRST = b": 2026-03-01T00:00:00Z"


async def block(stream: ClientResponse) -> list[bytes]:
    """Return the lines of the next event or comment."""
    async with asyncio.timeout(5):
        lines = []
        while line := (await stream.content.readline()).rstrip(b"\n"):
            lines.append(line)
        return lines


async def greeted(stream: ClientResponse) -> None:
    """Read the comment with which every stream begins."""
    assert await block(stream) == [AT_FIRST]


def event(identity: bytes, body: bytes) -> list[bytes]:
    """Return the lines of an event."""
    return [b"id: " + identity, b"data: " + body]


async def test_the_answer_comes_at_once_and_then_every_change(node: Node) -> None:
    """The data are the very bytes of the status, the id is its index."""
    async with await node.get("/v1/status/stream") as stream:
        assert (stream.status, stream.content_type, stream.headers["Cache-Control"]) == (
            200,
            "text/event-stream",
            "no-cache",
        )
        await greeted(stream)
        assert await block(stream) == event(b"1", FIRST.body)
        node.board.show(NEXT)
        assert await block(stream) == event(b"2", NEXT.body)


async def test_who_listens_is_told_that_the_answer_is_stale_and_fresh_again(node: Node) -> None:
    """Stale answers are told too; they have no id, since the same publication has told something else before."""
    async with await node.get("/v1/status/stream") as stream:
        await greeted(stream)
        await block(stream)
        node.board.show(STALE)
        assert await block(stream) == event(b"", STALE.body)
        node.board.show(FIRST)
        assert await block(stream) == event(b"1", FIRST.body)


async def test_who_comes_back_is_told_only_what_is_new(node: Node) -> None:
    """With the id of the newest answer nothing is told until the next one, but at once that the node is there."""
    async with await node.get("/v1/status/stream", Last_Event_ID="1") as stream:
        await greeted(stream)
        await eventually(lambda: node.board.waiting)
        node.board.show(NEXT)
        assert await block(stream) == event(b"2", NEXT.body)


@pytest.mark.parametrize("known", ["", "0", "2", "x", "1x", "9" * 1000])
async def test_who_comes_back_with_another_id_is_told_at_once(node: Node, known: str) -> None:
    """Older ids, ids of a time before a restore, and nonsense are all the same: not this answer."""
    async with await node.get("/v1/status/stream", Last_Event_ID=known) as stream:
        await greeted(stream)
        assert await block(stream) == event(b"1", FIRST.body)


@pytest.mark.parametrize("known", ["", "1"])
async def test_a_stale_answer_is_told_to_whoever_comes(node: Node, known: str) -> None:
    """An index does not say whether it was stale when it was told."""
    node.board.show(STALE)
    async with await node.get("/v1/status/stream", Last_Event_ID=known) as stream:
        await greeted(stream)
        assert await block(stream) == event(b"", STALE.body)


async def test_a_silent_stream_says_that_it_is_there_and_how_late_it_is() -> None:
    """A comment with effective time, which clients ignore as an event; the answer is not told again."""
    node = Node()
    node.app[AUDIENCE].heartbeat = 0.05
    node.board.show(FIRST)
    async with node.client, await node.get("/v1/status/stream") as stream:
        await greeted(stream)
        assert await block(stream) == event(b"1", FIRST.body)
        node.hands.pass_by(90 * SECOND)
        while (told := await block(stream)) == [AT_FIRST]:
            pass
        assert [told, await block(stream), await block(stream)] == [[b": 2026-03-01T00:01:30Z"]] * 3


async def test_a_silence_is_told_once(node: Node) -> None:
    """To be woken for nothing afterwards tells nothing."""
    async with await node.get(PATH) as stream:
        await greeted(stream)
        await block(stream)
        node.app[AUDIENCE].silences += 1
        node.board.wake()
        assert await block(stream) == [AT_FIRST]
        node.board.wake()
        async with await node.get("/v1/status"):  # that wake has passed meanwhile
            node.board.show(NEXT)
        assert await block(stream) == event(b"2", NEXT.body)


def test_a_node_that_fell_silent_is_noticed_within_a_quarter_of_a_minute() -> None:
    """Two heartbeats that did not come are enough to tell, and there is time for a slow network."""
    assert 2 * HEARTBEAT <= 12


async def test_who_goes_is_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    """A listener that has gone is noticed with the next heartbeat, and is no failure.

    Served as the daemon serves it: the test server would cancel the handler at once.
    """
    node = Node()
    node.app[AUDIENCE].heartbeat = 0.05
    node.board.show(FIRST)
    runner = web.AppRunner(node.app)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, 0).start()
        url = f"http://{LOOPBACK}:{runner.addresses[0][1]}/v1/status/stream"
        async with ClientSession() as session, session.get(url, headers=AUTH) as stream:
            await greeted(stream)
            assert await block(stream) == event(b"1", FIRST.body)
        counted = {"method": "GET", "route": "/v1/status/stream", "status": "200"}
        await eventually(lambda: node.requests(**counted) == 1)
    finally:
        await runner.cleanup()
    assert (len(node.app[AUDIENCE]), node.board.waiting) == (0, 0)
    assert "call failed" not in caplog.text


@asynccontextmanager
async def by_hand(node: Node, version: str = "1.1") -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Ask for the stream on a connection whose bytes the test reads itself; it takes up little that is not read."""
    own = socket.create_connection((LOOPBACK, node.client.port or 0))
    own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * LARGE)
    reader, writer = await asyncio.open_connection(sock=own, limit=2 * LARGE)
    try:
        head = f"GET {PATH} HTTP/{version}\r\nHost: {LOOPBACK}\r\nAuthorization: Bearer {READER}\r\n\r\n"
        writer.write(head.encode())
        yield reader, writer
    finally:
        writer.close()


def large(number: int) -> Answer:
    """Return an answer of which the network does not take many."""
    status = replace(FIRST.status, index=number)
    return Answer(status, b"%07d" % number + b"." * LARGE, f'"{number}"', None)


async def test_who_reads_slowly_misses_what_was_between_and_holds_up_nobody(node: Node) -> None:
    """What waits for them does not grow: they are told the newest answer when they read on, and others at once."""
    count = 400
    async with by_hand(node) as (slow, _), await node.get(PATH) as stream:
        await slow.readuntil(b"data: ")
        await greeted(stream)
        assert await block(stream) == event(b"1", FIRST.body)
        for number in range(2, count + 1):
            node.board.show(large(number))
            assert (await block(stream))[0] == b"id: %d" % number
        told = [await slow.readuntil(b"\n\n")]
        async with asyncio.timeout(20):
            while b"data: %07d" % count not in told[-1]:
                told.append(await slow.readuntil(b"\n\n"))
    assert len(set(told)) == len(told) < count / 2


async def test_old_clients_are_told_without_chunks(node: Node) -> None:
    """HTTP/1.0 has none: what is sent is the stream itself."""
    async with by_hand(node, "1.0") as (reader, _):
        await reader.readuntil(b"\r\n\r\n")
        async with asyncio.timeout(5):
            assert await reader.readuntil(b"\n\n") == AT_FIRST + b"\n\n"
            assert await reader.readuntil(b"\n\n") == b"id: 1\ndata: " + FIRST.body + b"\n\n"
            node.board.show(NEXT)
            assert await reader.readuntil(b"\n\n") == b"id: 2\ndata: " + NEXT.body + b"\n\n"


async def test_a_session_that_ends_ends_its_stream() -> None:
    """Who signed in on the page hears no more than the session lasts; a token's stream goes on."""
    node = Node()
    node.app[AUDIENCE].heartbeat = 0.05
    node.board.show(FIRST)
    async with node.client, await node.get("/v1/status/stream") as by_token:
        await node.client.post("/v1/session", json={"token": READER})
        async with await node.client.get("/v1/status/stream") as stream:
            await greeted(stream)
            assert await block(stream) == event(b"1", FIRST.body)
            node.hands.pass_by(8 * 3600 * SECOND)
            async with asyncio.timeout(2):
                left = (await stream.content.read()).split(b"\n\n")
            assert [part for part in left if part and not part.startswith(b": ")] == []
        await greeted(by_token)
        assert await block(by_token) == event(b"1", FIRST.body)
        node.board.show(NEXT)
        while (told := await block(by_token))[0].startswith(b": "):
            pass
        assert told == event(b"2", NEXT.body)


async def test_a_stop_ends_the_streams(node: Node) -> None:
    """Whoever listens sees the end and can turn to the other node; the stop does not wait."""
    async with await node.get("/v1/status/stream") as stream:
        await greeted(stream)
        await block(stream)
        await eventually(lambda: node.board.waiting)
        async with asyncio.timeout(2):
            await node.app.shutdown()
            assert await stream.content.read() == b""


async def test_a_token_that_was_taken_out_hears_no_more(node: Node) -> None:
    """The stream ends at the next wake, which comes with the change of the tokens; that of another one goes on."""
    async with await node.get("/v1/status/stream") as stream, await node.client.get(PATH, headers=AS_ADMIN) as other:
        for each in (stream, other):
            await greeted(each)
            await block(each)
        await eventually(lambda: len(node.app[AUDIENCE]) == 2)
        node.app[GUARD].know(TokenFile(tuple(token for token in TOKENS.tokens if token.name == "admin")))
        node.board.show(NEXT)
        async with asyncio.timeout(2):
            assert await stream.content.read() == b""
        assert await block(other) == event(b"2", NEXT.body)
