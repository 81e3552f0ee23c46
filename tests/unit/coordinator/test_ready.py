"""Answers that are sent as they stand: they are what aiohttp would have written, on any connection, at any time."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from coordinator.ready import Closing
from tests.unit.coordinator.serving import READER, Node, answer
from tests.unit.coordinator.stored import KEYS, NOW, SECOND, A, Hands, at_rest, publish, stored_report

AT_REST = publish(at_rest())
FIRST = answer(AT_REST)
NEXT = answer(publish(AT_REST | {KEYS.node(A): stored_report(A)}, NOW + SECOND))
QUESTION = json.dumps({"operation": "vm.create"})
DATE = re.compile(rb"Date: \w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} GMT\r\n")


def request(line: str, *headers: str, body: str = "") -> bytes:
    """Return the bytes of a request with the reader's token."""
    length = [f"Content-Length: {len(body)}"] if body else []
    head = (line, "Host: localhost", f"Authorization: Bearer {READER}", *headers, *length)
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


STATUS = request("GET /v1/status HTTP/1.1")


class Connection:
    """One connection, on which bytes are sent and whole answers read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        """Send these bytes."""
        self._writer.write(data)

    async def answer(self) -> tuple[bytes, bytes]:
        """Return head and body of the next answer."""
        async with asyncio.timeout(5):
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"Content-Length: (\d+)", head)
            return head, await self._reader.readexactly(int(length[1]) if length else 0)

    async def ends(self) -> bool:
        """Whether the other side closes it and has sent no more."""
        async with asyncio.timeout(5):
            return await self._reader.read() == b""


async def connect(node: Node) -> Connection:
    """Return a new connection."""
    return Connection(*await asyncio.open_connection("127.0.0.1", node.client.port))


@pytest.mark.parametrize(
    ("line", "headers", "body", "status"),
    [
        ("GET /v1/status HTTP/1.1", (), "", 200),
        ("GET /v1/status HTTP/1.1", (f"If-None-Match: {FIRST.etag}",), "", 304),
        ("POST /v1/licenses/authorize HTTP/1.1", (), QUESTION, 200),
    ],
    ids=["whole", "same", "verdict"],
)
async def test_it_is_what_aiohttp_writes(
    node: Node, line: str, headers: tuple[str, ...], body: str, status: int
) -> None:
    """To the byte, but that aiohttp, which answers whoever wants the connection closed, says that it is."""
    kept, closed = await connect(node), await connect(node)
    kept.send(request(line, *headers, body=body))
    closed.send(request(line, *headers, "Connection: close", body=body))
    (head, content), (other_head, other_content) = await kept.answer(), await closed.answer()
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert DATE.search(head)
    assert DATE.sub(b"", head) == DATE.sub(b"", other_head).replace(b"Connection: close\r\n", b"")
    assert content == other_content
    assert await closed.ends()


async def test_an_old_client_is_told_that_the_connection_closes(node: Node) -> None:
    """HTTP/1.0 has no connections that stay open unless both say so."""
    connection = await connect(node)
    connection.send(request("GET /v1/status HTTP/1.0"))
    assert (await connection.answer())[0].startswith(b"HTTP/1.0 200 OK\r\n")
    assert await connection.ends()


async def test_requests_in_a_row_are_answered_in_a_row(node: Node) -> None:
    """One answer serves them all, and none of them loses its own."""
    connection = await connect(node)
    connection.send(STATUS * 20 + request("GET /v1/status HTTP/1.1", f"If-None-Match: {FIRST.etag}") + STATUS)
    answers = [await connection.answer() for _ in range(22)]
    assert [content for _, content in answers] == [FIRST.body] * 20 + [b"", FIRST.body]


async def test_what_changes_is_told_at_once(node: Node) -> None:
    """Another answer, a later second, a greater age: nothing of what was sent before is sent again."""
    connection = await connect(node)

    async def told() -> tuple[bytes, str, str]:
        connection.send(STATUS)
        head, content = await connection.answer()
        found = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:-2])
        return content, found["Twinkey-Time"], found["Age"]

    assert await told() == (FIRST.body, "2026-03-01T00:00:00Z", "0")
    node.hands.pass_by(1 * SECOND)
    assert await told() == (FIRST.body, "2026-03-01T00:00:01Z", "0")
    node.board.show(NEXT)
    assert await told() == (NEXT.body, "2026-03-01T00:00:01Z", "0")
    stale = answer(AT_REST, connected=False)
    node.board.show(stale)
    node.hands.pass_by(0.9 * SECOND)
    assert await told() == (stale.body, "2026-03-01T00:00:01Z", "0")
    node.hands.pass_by(0.2 * SECOND)
    assert await told() == (stale.body, "2026-03-01T00:00:02Z", "1")


def test_the_clocks_are_not_read_for_every_answer() -> None:
    """What tells whole seconds stands for a hundredth of one."""
    hands = Hands(NOW + 0.995 * SECOND)
    closing = Closing(hands.clock())
    first = closing.lines()
    assert "Twinkey-Time: 2026-03-01T00:00:00Z" in first
    hands.pass_by(0.009 * SECOND)
    assert closing.lines() is first
    hands.pass_by(0.001 * SECOND)
    assert "Twinkey-Time: 2026-03-01T00:00:01Z" in closing.lines()


async def test_a_slow_reader_gets_all_of_it(node: Node) -> None:
    """However much waits to be sent: the next request is not begun before the last answer is on its way."""
    connection = await connect(node)
    many = 3000
    connection.send(STATUS * many)
    for _ in range(many):
        assert (await connection.answer())[1] == FIRST.body
