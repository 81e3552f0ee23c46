"""Bodies of requests: what happens to one that does not arrive whole."""

from __future__ import annotations

import asyncio
import logging

import pytest
from aiohttp import web

from tests.unit.coordinator.serving import ADMIN, Node
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
    assert node.metrics.registry.get_sample_value("twinkey_uploads_total", {"result": "refused"}) == 1
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
