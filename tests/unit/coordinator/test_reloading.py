"""What SIGHUP does to tokens and certificate."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from coordinator.audience import HEARTBEAT
from coordinator.certificate import Certificate, end_of
from coordinator.guarding import GUARD
from coordinator.reloading import Reloading
from tests.certificates import HOUR, Authority
from tests.unit.coordinator.serving import ADMIN, READER, Node, answer
from tests.unit.coordinator.stored import at_rest, publish
from tests.waiting import eventually

NEW = "a new token"


def write_tokens(file: Path, **tokens: str) -> None:
    """Write the tokens file with these tokens, which may read, by name."""
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in tokens.items()}
    known = [{"name": name, "sha256": sha256, "scopes": ["read"]} for name, sha256 in hashes.items()]
    file.write_text(json.dumps({"tokens": known}))


class Reloaded:
    """A node whose tokens file and certificate can be changed."""

    def __init__(self, folder: Path) -> None:
        self.node = Node()
        self.node.board.show(answer(publish(at_rest())))
        self.folder, self.tokens = folder, folder / "tokens.json"
        _, self.cert, key = Authority().write(folder, "http")
        self.certificate = Certificate(self.cert, key)
        self.reload = Reloading(self.tokens, self.node.app[GUARD], self.node.board, self.certificate).reload

    async def status(self, token: str) -> int:
        """Return what a call with this token is answered."""
        headers = {"Authorization": f"Bearer {token}"}
        return (await self.node.client.get("/v1/session", headers=headers)).status


@pytest.fixture
async def reloaded(tmp_path: Path) -> Reloaded:
    """Give a node with the tokens of the tests and a certificate."""
    return Reloaded(tmp_path)


async def test_new_tokens_count_and_those_taken_out_do_not(reloaded: Reloaded) -> None:
    """From the next call on, and without a restart."""
    async with reloaded.node.client:
        assert [await reloaded.status(token) for token in (NEW, READER)] == [401, 200]
        write_tokens(reloaded.tokens, reader=NEW)
        await reloaded.reload()
        assert [await reloaded.status(token) for token in (NEW, READER)] == [200, 401]


async def test_the_session_of_a_token_that_stays_goes_on(reloaded: Reloaded) -> None:
    """The other one's has ended for good, also when that token comes back under another name."""
    write_tokens(reloaded.tokens, reader=READER)
    client = reloaded.node.client
    async with client, TestClient(TestServer(reloaded.node.app)) as other:
        for browser, token in ((client, READER), (other, ADMIN)):
            assert (await browser.post("/v1/session", json={"token": token})).status == 200
        await reloaded.reload()
        assert [(await browser.get("/v1/session")).status for browser in (client, other)] == [200, 401]


async def test_a_stream_of_a_token_that_was_taken_out_ends_at_once(reloaded: Reloaded) -> None:
    """It does not wait for the next heartbeat."""
    write_tokens(reloaded.tokens, reader=NEW)
    node = reloaded.node
    async with node.client, await node.get("/v1/status/stream") as stream:
        await eventually(lambda: node.board.waiting)
        async with asyncio.timeout(HEARTBEAT / 2):
            await reloaded.reload()
            await stream.content.read()


@pytest.mark.parametrize("content", [b"", b"{}", None], ids=["empty", "other", "missing"])
async def test_bad_tokens_leave_the_old_ones(
    reloaded: Reloaded, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    """An error says what to do; the certificate is reread all the same."""
    if content is not None:
        reloaded.tokens.write_bytes(content)
    Authority().write(reloaded.folder, "http", ends_in=24 * HOUR)
    async with reloaded.node.client:
        await reloaded.reload()
        assert await reloaded.status(READER) == 200
    (told,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert (told.message, "reload again" in vars(told)["what_to_do"]) == ("tokens are not replaced", True)
    assert reloaded.certificate.ends == end_of(reloaded.cert)


async def test_a_bad_certificate_leaves_the_old_one(reloaded: Reloaded, caplog: pytest.LogCaptureFixture) -> None:
    """An error says what to do; the tokens are reread all the same."""
    write_tokens(reloaded.tokens, reader=NEW)
    ends = reloaded.certificate.ends
    reloaded.cert.write_bytes(b"no certificate")
    async with reloaded.node.client:
        await reloaded.reload()
        assert await reloaded.status(NEW) == 200
    (told,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert (told.message, reloaded.certificate.ends) == ("certificate is not replaced", ends)


async def test_without_https_only_tokens_are_reread(reloaded: Reloaded, caplog: pytest.LogCaptureFixture) -> None:
    """A site of plain HTTP has no certificate to complain about."""
    write_tokens(reloaded.tokens, reader=NEW)
    async with reloaded.node.client:
        await Reloading(reloaded.tokens, reloaded.node.app[GUARD], reloaded.node.board, None).reload()
        assert await reloaded.status(NEW) == 200
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
