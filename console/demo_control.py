"""The control socket of a running demo: both ends of it.

A unix socket in the demo's folder, which only its owner can enter. HTTP with one address: `POST /orders` takes an
`Order` and answers 200 with a `Done`, or 409 with `{"error": {"code", "description"}}`.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import msgspec
from aiohttp import web

from console.demo_orders import Cannot, Done, Order
from console.demo_places import CONTROL_SOCKET

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

ANSWER_WITHIN = aiohttp.ClientTimeout(total=60)  # orders wait for each other
NO_DEMO = "no demo is running here: start it with `make demo` (and wait until it says that it runs)."


class NoDemo(Exception):  # noqa: N818 - it says what is wrong
    """Nobody listens on the control socket."""


@asynccontextmanager
async def control_socket(folder: Path, carry_out: Callable[[Order], Awaitable[Done]]) -> AsyncIterator[None]:
    """Take orders while the context is open; an order under way when it closes is dropped."""

    async def orders(request: web.Request) -> web.Response:
        try:
            done = await carry_out(msgspec.json.decode(await request.read(), type=Order))
        except (Cannot, msgspec.DecodeError) as refused:
            error = {"error": {"code": "demo", "description": str(refused)}}
            return web.json_response(error, status=409)
        return web.Response(body=msgspec.json.encode(done), content_type="application/json")

    application = web.Application()
    application.router.add_post("/orders", orders)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        with _short(folder) as here:
            await web.UnixSite(runner, str(here / CONTROL_SOCKET)).start()
        yield
    finally:
        await runner.cleanup()


async def give_order(folder: Path, order: Order) -> Done:
    """Hand an order to the demo in this folder and return its answer.

    Raises:
        NoDemo: none is running there.
        Cannot: the demo refused it, or it did not work out.
    """
    try:
        with _short(folder) as here:
            connector = aiohttp.UnixConnector(path=str(here / CONTROL_SOCKET))
            async with aiohttp.ClientSession(connector=connector, timeout=ANSWER_WITHIN) as session:
                return await _post(session, order)
    except (FileNotFoundError, NotADirectoryError, PermissionError, aiohttp.ClientConnectorError) as error:
        raise NoDemo(NO_DEMO) from error
    except aiohttp.ClientError as error:
        raise Cannot("the demo ended before it answered.") from error
    except TimeoutError as error:
        raise Cannot(f"the demo does not answer within {ANSWER_WITHIN.total} s: look at its own shell.") from error


async def _post(session: aiohttp.ClientSession, order: Order) -> Done:
    async with session.post("http://demo/orders", data=msgspec.json.encode(order)) as answer:
        body = await answer.read()
    if answer.status == web.HTTPOk.status_code:
        return msgspec.json.decode(body, type=Done)
    if answer.status == web.HTTPConflict.status_code:
        raise Cannot(msgspec.json.decode(body)["error"]["description"])
    raise Cannot(f"the demo answered {answer.status} {answer.reason}: look at its own shell.")


@contextmanager
def _short(folder: Path) -> Iterator[Path]:
    """Give the folder a path that is short whatever its own is: a unix socket's path has 107 bytes at most."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
