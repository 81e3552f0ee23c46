"""When the agent calls itself ready."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent.service_status import tell_manager
from agent.sight import Sight
from cluster.service_manager import ServiceManager
from tests.notify_socket import NotifySocket
from tests.waiting import eventually


async def test_it_is_ready_once_it_has_looked_at_its_bus(tmp_path: Path) -> None:
    """Whatever else is seen does not make it ready; keys do, also where there are none."""
    with NotifySocket(str(tmp_path / "notify")) as notified:
        sight = Sight()
        telling = asyncio.create_task(tell_manager(ServiceManager(notified.address), sight))
        sight.see_vip(held=True)
        await asyncio.sleep(0)
        assert notified.said == []
        sight.see_keys(())
        await eventually(lambda: notified.said == ["STATUS=Watches this node's USB keys: 0 there.", "READY=1"])
        telling.cancel()
