"""The control socket: orders go in, answers or refusals come out."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from console.demo_control import NoDemo, control_socket, give_order
from console.demo_orders import Cannot, Done, Order, Verb

ORDER = Order(Verb.PLUG, node="a", key="ключ")


async def obey(order: Order) -> Done:
    """Do anything."""
    return Done(order.verb, order.node, order.key, True, "done")  # noqa: FBT003 - `seen`


async def test_an_order_is_answered(tmp_path: Path) -> None:
    """What the demo's side returns is what the other shell gets."""
    async with control_socket(tmp_path, obey):
        assert await give_order(tmp_path, ORDER) == Done(Verb.PLUG, "a", "ключ", True, "done")  # noqa: FBT003


async def test_a_refusal_keeps_its_words(tmp_path: Path) -> None:
    """The reason reaches the other shell as it was said."""

    async def refuse(_: Order) -> Done:
        raise Cannot("K1 is plugged into node a already.")

    async with control_socket(tmp_path, refuse):
        with pytest.raises(Cannot, match=r"^K1 is plugged into node a already\.$"):
            await give_order(tmp_path, ORDER)


async def test_a_bug_is_an_error_too(tmp_path: Path) -> None:
    """An answer that nobody expected is not taken for success."""

    async def fail(_: Order) -> Done:
        raise ZeroDivisionError

    async with control_socket(tmp_path, fail):
        with pytest.raises(Cannot, match="500"):
            await give_order(tmp_path, ORDER)


async def test_a_folder_with_a_long_path_works(tmp_path: Path) -> None:
    """The path of a unix socket has 107 bytes at most; that of a demo may be longer."""
    folder = tmp_path / ("deep" * 50) / ".demo"
    folder.mkdir(parents=True)
    async with control_socket(folder, obey):
        assert (await give_order(folder, ORDER)).text == "done"


async def test_without_a_demo_the_error_says_what_to_do(tmp_path: Path) -> None:
    """No folder, no socket, or a socket that nobody listens on: all mean that no demo runs."""
    with pytest.raises(NoDemo, match="make demo"):
        await give_order(tmp_path / "missing", ORDER)
    with pytest.raises(NoDemo):
        await give_order(tmp_path, ORDER)
    async with control_socket(tmp_path, obey):
        pass
    with pytest.raises(NoDemo):
        await give_order(tmp_path, ORDER)


async def test_a_demo_that_ends_meanwhile_is_an_error(tmp_path: Path) -> None:
    """The end of the demo does not leave the other shell waiting."""
    taken, never = asyncio.Event(), asyncio.Event()

    async def ponder(order: Order) -> Done:
        taken.set()
        await never.wait()
        return await obey(order)

    async with control_socket(tmp_path, ponder):
        order = asyncio.create_task(give_order(tmp_path, ORDER))
        await taken.wait()
    with pytest.raises(Cannot, match="ended"):
        async with asyncio.timeout(5):
            await order
