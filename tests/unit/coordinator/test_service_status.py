"""What the service manager is told of a coordinator, with what its board and its store do."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from cluster.memory import MemoryCluster
from cluster.mirror import Mirror
from cluster.service_manager import ServiceManager
from coordinator.board import Board
from coordinator.published import Leader
from coordinator.service_status import _status_line, tell_manager
from tests.notify_socket import NotifySocket
from tests.unit.coordinator.running import QUICK
from tests.unit.coordinator.serving import answer
from tests.unit.coordinator.stored import KEYS, A, B, Hands, at_rest, publish
from tests.waiting import eventually

FIRST = answer(publish(at_rest()))
AWAY = "nothing is known of the site yet: etcd does not answer."


async def test_it_is_ready_without_the_store_and_then_says_how_it_is(tmp_path: Path) -> None:
    """Readiness comes at once and once; the line follows the store and the board."""
    with NotifySocket(str(tmp_path / "notify")) as notified:
        board, mirror = Board(Hands().boot), Mirror(MemoryCluster().client(), KEYS.prefix, QUICK)
        telling = asyncio.create_task(tell_manager(ServiceManager(notified.address), board, mirror, A))
        await eventually(lambda: notified.said == ["READY=1", f"STATUS=Answers calls; {AWAY}"])
        mirroring = asyncio.create_task(mirror.run())
        await eventually(lambda: notified.said[2:] == ["STATUS=Answers calls; nothing is known of the site yet."])
        board.show(FIRST)
        await eventually(lambda: notified.said[3:] == [f"STATUS={_status_line(FIRST.status, A, connected=True)}"])
        telling.cancel()
        mirroring.cancel()


@pytest.mark.parametrize(
    ("leader", "stale", "connected", "begins"),
    [
        (A, False, True, "Leads the site: licence "),
        (B, False, True, "Follows b: licence "),
        (None, True, True, "Answers what was known last (licence "),
        (A, True, True, "Answers what was known last (licence "),
        (A, True, False, "Answers what was known last (licence "),
    ],
    ids=["leads", "follows", "nobody", "stale", "away"],
)
def test_the_line_says_what_the_node_does(*, leader: str | None, stale: bool, connected: bool, begins: str) -> None:
    """Who leads, whether the answer is fresh, and that etcd is away where it is."""
    named = Leader(leader, "b") if leader else None
    line = _status_line(replace(FIRST.status, leader=named, stale=stale), A, connected=connected)
    assert line.startswith(begins + FIRST.status.license.status.value)
    assert ("etcd does not answer" in line) is not connected
