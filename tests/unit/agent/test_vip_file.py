"""The virtual IP's stand-in: a file, watched with real inotify."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from agent.vip_file import watch_file


async def test_the_file_is_the_virtual_ip(tmp_path: Path) -> None:
    """The first answer comes at once and each change of the file is told once; other files do not matter."""
    vip = tmp_path / "deep" / "vip"
    async with aclosing(watch_file(vip)) as held:  # type: ignore[type-var]
        assert await anext(held) is False
        (vip.parent / "other").touch()
        vip.touch()
        assert await anext(held) is True
        vip.write_text("written again", encoding="ascii")
        vip.rename(vip.parent / "elsewhere")
        assert await anext(held) is False
        (vip.parent / "elsewhere").rename(vip)
        assert await anext(held) is True


async def test_a_folder_that_goes_away_is_an_error(tmp_path: Path) -> None:
    """Not being able to see is said, not taken for an answer."""
    vip = tmp_path / "folder" / "vip"
    held: AsyncIterator[bool] = watch_file(vip)
    assert await anext(held) is False
    vip.parent.rmdir()
    with pytest.raises(FileNotFoundError, match="went away"):
        await anext(held)
