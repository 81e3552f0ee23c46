"""Listening to the kernel; whether events come is seen on a bus made of software, in the integration tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from usbwatch.uevents import kernel_uevents


async def test_listening_starts_and_ends_cleanly() -> None:
    """Listening needs no udevd, and leaves no socket behind."""

    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    with kernel_uevents(lambda _: None, frozenset()):
        pass
    before = open_files()
    for _ in range(3):
        with kernel_uevents(lambda _: None, frozenset()):
            pass
    assert open_files() <= before


async def test_without_netlink_the_bus_goes_on_and_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A kernel that gives no events is a warning and not an error."""

    def refused() -> None:
        raise PermissionError("no netlink here")

    with kernel_uevents(lambda _: None, frozenset(), refused):
        assert "no hot-plug events" in caplog.text
