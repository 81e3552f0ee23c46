"""The coordinator with a mistake planted in it, so that the checks of histories can be seen to find one.

Usage: python -m tests.netsite.planted MISTAKE coordinator --config FILE
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Callable, Sequence
from typing import Any

from cluster.etcd import EtcdStore
from cluster.store import Condition, Put, Write
from console.main import main
from coordinator.board import Answer, Board
from coordinator.desk import Desk, Receipt
from coordinator.orders import Outcome
from licensing import buffer
from licensing.ledger import KeyHistory
from licensing.policy import LATER_BUFFER
from licensing.value import Time

SLOW = 0.3
"""Seconds between a decision and its publication, in which a leader may be frozen."""
LATER = 0.5
"""Seconds after which an order that was answered in advance is given."""


def publish_without_a_fence() -> None:
    """Take a while between deciding and publishing, and publish with no condition at all."""
    commit = EtcdStore.commit

    async def unfenced(self: EtcdStore, conditions: Sequence[Condition], writes: Sequence[Write]) -> int:
        if any(isinstance(write, Put) and write.key.endswith("/status") for write in writes):
            await asyncio.sleep(SLOW)
            return await commit(self, (), writes)
        return await commit(self, conditions, writes)

    EtcdStore.commit = unfenced  # type: ignore[method-assign]


def answer_before_it_is_stored() -> None:
    """Call an upload installed before anything of it was written."""
    give = Desk.give
    orders: set[asyncio.Task[Any]] = set()

    async def promised(self: Desk, *order: Any, **how: Any) -> Receipt:
        async def later() -> None:
            await asyncio.sleep(LATER)
            await give(self, *order, **how)

        task = asyncio.create_task(later())
        orders.add(task)
        task.add_done_callback(orders.discard)
        return Receipt("0" * 32, Outcome(200, "", "Installed.", "", changed=True))

    Desk.give = promised  # type: ignore[method-assign]


def show_an_old_answer_now_and_then() -> None:
    """Show the answer before the newest, for a moment, each third time."""
    show, shown, count = Board.show, list[Answer](), itertools.count()

    def going_back(self: Board, answer: Answer) -> None:
        shown.append(answer)
        show(self, answer)
        if next(count) % 3 == 2:
            loop = asyncio.get_running_loop()
            loop.call_later(0.1, lambda: show(self, shown[-2]))
            loop.call_later(0.3, lambda: show(self, shown[-1]))

    Board.show = going_back  # type: ignore[method-assign, assignment]


def grant_sixty_days_each_time() -> None:
    """Let every removal after the first grant a new buffer, however soon it comes."""
    grant = buffer.grant

    def generous(history: KeyHistory, at: Time) -> buffer.Grant:
        if history.last_removal is None:
            return grant(history, at)
        return buffer.Grant(at + LATER_BUFFER, "60 days or more since the last removal: a buffer of 60 days.")

    buffer.grant = generous


MISTAKES: dict[str, Callable[[], None]] = {
    plant.__name__.replace("_", "-"): plant
    for plant in (
        publish_without_a_fence,
        answer_before_it_is_stored,
        show_an_old_answer_now_and_then,
        grant_sixty_days_each_time,
    )
}

if __name__ == "__main__":
    MISTAKES[sys.argv.pop(1)]()
    main()
