"""What the service manager is told of a coordinator: it is ready when it listens, also without the store."""

from __future__ import annotations

from cluster.mirror import Mirror
from cluster.service_manager import ServiceManager
from cluster.waking import first_of
from coordinator.board import Board, StatusBody
from licensing.value import Name


async def tell_manager(manager: ServiceManager, board: Board, mirror: Mirror, node: Name) -> None:
    """Tell it for ever, from a moment on at which this node answers."""
    manager.ready()
    while True:
        news = board.pulse.mark(), mirror.pulse.mark()
        manager.say(_status_line(board.answer.status if board.answer else None, node, connected=mirror.connected))
        await first_of(*news)


def _status_line(status: StatusBody | None, node: Name, *, connected: bool) -> str:
    if status is None:
        return "Answers calls; nothing is known of the site yet" + ("." if connected else ": etcd does not answer.")
    licence = f"licence {status.license.status.value}"
    if not connected:
        return f"Answers what was known last ({licence}): etcd does not answer."
    if status.leader is None or status.stale:
        return f"Answers what was known last ({licence}): no leader confirms it."
    who = "Leads the site" if status.leader.management_node_uuid == node else f"Follows {status.leader.name}"
    return f"{who}: {licence}, USB key {status.key_state.value}."
