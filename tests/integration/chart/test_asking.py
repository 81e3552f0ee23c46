"""What `helm test` runs, taken out of the rendered pod and run against coordinators that answer."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from aiohttp.test_utils import TestServer

from tests.certificates import Authority
from tests.integration.chart.helm import render
from tests.unit.coordinator.serving import PLATFORM, READER, Node, answer
from tests.unit.coordinator.stored import at_rest, publish

ANSWER = answer(publish(at_rest()))
STATUS = ANSWER.status.license.status.value
OTHER_NAME = "licence.example.com"


class Said(NamedTuple):
    """How the script ended."""

    code: int | None
    out: str
    err: str


@asynccontextmanager
async def coordinator(folder: Path, authority: Authority, *, ready: bool = True) -> AsyncIterator[int]:
    """Let a coordinator answer over HTTPS on the loopback; yield its port."""
    node = Node()
    if ready:
        node.board.show(ANSWER)
    _, certificate, key = authority.write(folder, "http")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    server = TestServer(node.app, scheme="https")
    await server.start_server(ssl=context)
    assert server.port
    try:
        yield server.port
    finally:
        await server.close()
        await node.client.close()


async def ask(folder: Path, port: int, token: str = "", name: str = "127.0.0.1", expected: int = 1) -> Said:
    """Run the script as the pod would; what the pod's variables say of a cluster is said of this machine instead."""
    (container,) = render("production").pods()["twinkey-test"]["containers"]
    variables = {each["name"] for each in container["env"]}
    here = {
        "ASK_SERVICE": "127.0.0.1",
        "ASK_PORT": str(port),
        "ASK_EXPECTED": str(expected),
        "ASK_SERVER_NAME": name,
        "ASK_AUTHORITY": str(folder / "ca.pem"),
        "ASK_TOKEN_FILE": str(folder / "token"),
    }
    assert variables == set(here)
    if token:
        (folder / "token").write_text(token, encoding="utf-8")
    else:
        del here["ASK_TOKEN_FILE"]
    program, *arguments = container["command"]
    assert program == "python"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        *container["args"],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"]} | here,
    )
    out, err = await process.communicate()
    return Said(process.returncode, out.decode(), err.decode())


async def test_a_coordinator_that_answers_passes(tmp_path: Path) -> None:
    """It is ready, and tells the licence's status to who has a token that may read."""
    async with coordinator(tmp_path, Authority()) as port:
        said = await ask(tmp_path, port, READER)
        assert said == Said(0, f"127.0.0.1 is ready; the licence's status: {STATUS}\n", "")
        assert (await ask(tmp_path, port)).code == 0


async def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    """A token that may not read, a certificate of another name or authority, no answer yet, none at all."""
    async with coordinator(tmp_path, Authority()) as port:
        assert "answers 403" in (await ask(tmp_path, port, PLATFORM)).err
        assert "certificate" in (await ask(tmp_path, port, name=OTHER_NAME)).err
        assert "1 coordinators run instead of 2" in (await ask(tmp_path, port, expected=2)).err
        Authority().write(tmp_path, "another")
        refused = await ask(tmp_path, port)
        assert (refused.code, "certificate verify failed" in refused.err) == (1, True)
    assert "does not answer" in (await ask(tmp_path, port)).err
    async with coordinator(tmp_path, Authority(), ready=False) as port:
        assert "answers 503" in (await ask(tmp_path, port)).err
