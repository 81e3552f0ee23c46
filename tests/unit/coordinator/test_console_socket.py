"""The console's socket file: whose it is, and what stands in its place."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from aiohttp import web

from cluster.lifetime import CannotStart
from coordinator.console_socket import listening


@pytest.fixture
async def runner() -> web.AppRunner:
    """Give a server that listens nowhere yet."""
    made = web.AppRunner(web.Application())
    await made.setup()
    return made


async def test_only_the_owner_may_open_it(runner: web.AppRunner, tmp_path: Path) -> None:
    """Mode 0600, in a folder that is made where it is missing; at the end it is gone."""
    path = tmp_path / "run" / "console.sock"
    async with listening(runner, path):
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()


async def test_a_socket_that_answers_is_not_taken_away(runner: web.AppRunner, tmp_path: Path) -> None:
    """Another coordinator's socket stays, and this one does not start."""
    path = tmp_path / "console.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(CannotStart, match="change the setting socket"):
            async with listening(runner, path):
                pass
    assert path.exists()


async def test_a_socket_that_was_left_is_replaced(runner: web.AppRunner, tmp_path: Path) -> None:
    """A process that was killed leaves its socket behind."""
    path = tmp_path / "console.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with listening(runner, path):
        assert path.is_socket()


async def test_another_file_is_never_removed(runner: web.AppRunner, tmp_path: Path) -> None:
    """A path that was set by mistake costs nobody a file."""
    path = tmp_path / "licence.lic"
    path.write_bytes(b"precious")
    with pytest.raises(CannotStart):
        async with listening(runner, path):
            pass
    assert path.read_bytes() == b"precious"


async def test_without_a_path_there_is_no_socket(runner: web.AppRunner) -> None:
    """The setting may be empty."""
    async with listening(runner, None):
        assert not runner.sites
