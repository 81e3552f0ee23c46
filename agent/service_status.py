"""What the service manager is told of an agent: it is ready once it has looked at its bus, also without the store."""

from __future__ import annotations

from agent.sight import Sight
from cluster.service_manager import ServiceManager


async def tell_manager(manager: ServiceManager, sight: Sight) -> None:
    """Tell it for ever."""
    while True:
        seen, keys = sight.changed.count, sight.keys
        if keys is not None:
            manager.say(f"Watches this node's USB keys: {len(keys)} there.")
            manager.ready()
        await sight.changed.after(seen)
