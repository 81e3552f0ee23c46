"""Bodies of requests: how they arrive, and what happens to one that does not arrive whole."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from coordinator.answers import LARGEST_QUESTION
from tests.unit.coordinator.serving import ADMIN, AUTH, Node, answer, refusal
from tests.unit.coordinator.stored import at_rest, publish
from tests.waiting import eventually

UPLOAD = (
    f"POST /v1/licenses HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN}\r\nContent-Length: 9\r\n\r\nhalf"
)


async def test_a_caller_that_goes_away_in_the_middle_is_no_failure_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    """It counts as a refused upload, and the log has no error that would alarm somebody."""
    node = Node()
    runner = web.AppRunner(node.app)  # unlike aiohttp's server for tests it goes on when a caller goes away
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        _, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1])
        writer.write(UPLOAD.encode())
        await eventually(lambda: runner.server is not None and runner.server.requests_count)
        writer.transport.abort()
        await eventually(lambda: node.requests(method="POST", route="/v1/licenses", status="400"))
    finally:
        await runner.cleanup()
        await node.client.close()
    assert node.metrics.registry.get_sample_value("twinkey_uploads_total", {"result": "refused"}) == 1
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


QUESTION = b'{"operation":"vm.create"}'


async def _in_parts(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ((QUESTION,), 200),
        ((QUESTION[:9], QUESTION[9:]), 200),
        ((QUESTION + b" " * (LARGEST_QUESTION - len(QUESTION)),), 200),
        ((QUESTION + b" " * LARGEST_QUESTION,), 413),
        ((QUESTION, *[b" " * 4096] * 16), 413),
    ],
    ids=["at once", "in parts", "the largest", "too large at once", "too large in parts"],
)
async def test_a_body_is_read_however_it_comes(parts: tuple[bytes, ...], status: int) -> None:
    """In chunks that do not say how many more there are; where it becomes too large it is refused."""
    node = Node()
    node.board.show(answer(publish(at_rest())))
    async with node.client:
        response = await node.client.post("/v1/licenses/authorize", data=_in_parts(*parts), headers=AUTH)
        assert response.status == status
        if status != 200:
            assert (await refusal(response))[1] == "too-large"
