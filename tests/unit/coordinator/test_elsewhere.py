"""Whatever is no call is refused in the shape of every refusal, and nothing that a caller makes up is counted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from tests.unit.coordinator.serving import Node


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    """Give a node that shows nothing yet."""
    found = Node()
    async with found.client:
        yield found


@pytest.mark.parametrize(
    ("line", "status", "allow"),
    [
        ("GET /nowhere", 404, None),
        ("OPTIONS *", 404, None),
        ("GET /a%0Ab", 404, None),
        ("GET //", 404, None),
        ("GET http://localhost/v1/nothing", 404, None),
        ("GET /v1/status/", 404, None),
        ("POST /", 405, "GET,HEAD"),
        ("HEAD /v1/status", 405, "GET"),
        ("DELETE /zstack/v1/licenses", 405, "GET,POST"),
    ],
)
async def test_it_is_refused(node: Node, line: str, status: int, allow: str | None) -> None:
    """404, or 405 where other methods are known, with what to do, and counted as unknown."""
    reader, writer = await asyncio.open_connection("127.0.0.1", node.client.port)
    writer.write(f"{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(5):
        head, _, content = (await reader.read()).partition(b"\r\n\r\n")
    headers = dict(each.split(": ", 1) for each in head.decode().split("\r\n")[1:])
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert (headers["Content-Type"], headers.get("Allow")) == ("application/json", allow)
    if not line.startswith("HEAD"):
        assert json.loads(content)["error"]["hint"]
    assert node.requests(method="unknown", route="unknown", status=str(status)) == 1
