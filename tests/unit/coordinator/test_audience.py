"""Those who listen, and when they are let look."""

from __future__ import annotations

import asyncio

import pytest

from coordinator.audience import Audience
from coordinator.board import Board
from licensing.value import Time
from tests.unit.coordinator.serving import answer
from tests.unit.coordinator.stored import NOW, SECOND, Hands, at_rest, publish
from tests.waiting import eventually

AT_REST = publish(at_rest())
FIRST, STALE = answer(AT_REST), answer(AT_REST, connected=False)
LONG = 60.0


class Looking:
    """A listener that counts how often it looked."""

    def __init__(self, end: Time | None = None) -> None:
        self.looks = 0
        self.end = end

    def look(self) -> None:
        """Count."""
        self.looks += 1


class Failing(Looking):
    """A listener that counts, and then fails."""

    def look(self) -> None:
        """Count and fail."""
        super().look()
        raise RuntimeError("it cannot be seen")


def audience_of(board: Board, hands: Hands, heartbeat: float = LONG) -> Audience:
    """Return those who listen to a board, which shows an answer already."""
    board.show(FIRST)
    return Audience(board, hands.clock().now, heartbeat)


async def test_all_look_at_every_change() -> None:
    """Each looks once, however many there are."""
    hands = Hands()
    board = Board(hands.boot)
    audience, one, other = audience_of(board, hands), Looking(), Looking()
    with audience.joined(one), audience.joined(other):
        board.show(STALE)  # before anything else runs, too
        await eventually(lambda: (one.looks, other.looks) == (1, 1))
        board.show(FIRST)
        await eventually(lambda: (one.looks, other.looks) == (2, 2))
    assert audience.silences == 0


async def test_who_has_left_looks_no_more_and_nobody_watches_for_nobody() -> None:
    """The task that watches the board goes with the last of them, and comes with the next one."""
    hands = Hands()
    board = Board(hands.boot)
    audience, one = audience_of(board, hands), Looking()
    before = asyncio.all_tasks()
    for shown in (STALE, FIRST):
        looks = one.looks
        with audience.joined(one):
            board.show(shown)
            await _looked(one, looks + 1)
        await eventually(lambda: asyncio.all_tasks() == before)
        assert one.looks == looks + 1


async def test_who_cannot_look_keeps_nobody_from_looking(caplog: pytest.LogCaptureFixture) -> None:
    """The log tells of it, and the others look at this change and at every other one."""
    hands = Hands()
    board = Board(hands.boot)
    audience, one, failing = audience_of(board, hands), Looking(), Failing()
    with audience.joined(failing), audience.joined(one):
        for looks, shown in enumerate((STALE, FIRST, STALE), start=1):
            board.show(shown)
            await _looked(failing, looks)
            await _looked(one, looks)
    assert caplog.messages == ["a listener could not look"] * 3


async def test_an_event_is_made_once_for_everybody() -> None:
    """The very same bytes, until the board shows another answer."""
    hands = Hands()
    board = Board(hands.boot)
    audience = Audience(board, hands.clock().now)
    assert audience.event == b""
    board.show(FIRST)
    first = audience.event
    assert first == b"id: 1\ndata: " + FIRST.body + b"\n\n"
    assert audience.event is first
    board.show(STALE)
    assert audience.event == b"id: \ndata: " + STALE.body + b"\n\n"


async def test_to_be_woken_for_nothing_is_silence_too() -> None:
    """However often the board wakes those who wait, who was told nothing for long is told that the node is there."""
    hands = Hands()
    board = Board(hands.boot)
    audience, one = audience_of(board, hands, heartbeat=0.1), Looking()
    with audience.joined(one):
        async with asyncio.timeout(5):
            while not audience.silences:
                board.wake()
                await asyncio.sleep(0)


async def test_all_look_when_a_session_ends() -> None:
    """It does not wait for the heartbeat, and one that has ended before is waited for no more."""
    hands = Hands()
    board = Board(hands.boot)
    audience, others = audience_of(board, hands), Looking(NOW - SECOND)
    with audience.joined(others), audience.joined(Looking(NOW + SECOND / 20)):
        await eventually(lambda: others.looks)
        hands.pass_by(SECOND)
        seen = await _looks_at_rest(others)
        board.wake()
        await eventually(lambda: others.looks == seen + 1)
    assert audience.silences == 0


async def _looked(listener: Looking, times: int) -> None:
    await eventually(lambda: listener.looks == times)


async def _looks_at_rest(listener: Looking) -> int:
    """Return how often somebody has looked who has stopped to look."""

    async def rests() -> bool:
        before = listener.looks
        await asyncio.sleep(0.1)
        return listener.looks == before

    await eventually(rests)
    return listener.looks
