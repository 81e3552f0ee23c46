"""Doing what this node is asked over the store: to read its USB keys again.

A request is a value under one key; done is what the node's next report says. A request that is replaced before it was
done needs no answer of its own, because the later one asks for the same.
"""

from __future__ import annotations

import logging

from agent.sight import Sight
from cluster.mirror import Mirror
from cluster.report import Reread
from cluster.values import BadValue, read_message
from usbwatch.bus import Bus

log = logging.getLogger(__name__)


class Rereading:
    """Follows the requests under `key`, which `mirror` mirrors."""

    def __init__(self, mirror: Mirror, key: str, bus: Bus, sight: Sight) -> None:
        self._mirror = mirror
        self._key = key
        self._bus = bus
        self._sight = sight

    async def run(self) -> None:
        """Do every request, for ever."""
        done: Reread | None = None
        while True:
            seen = self._mirror.version
            request = self._request()
            if request is not None and request != done:
                await self._sight.look_again(self._bus, request.id)
                done = request
                log.info("keys were read again", extra={"request": request.id})
            else:
                await self._mirror.changed(seen)

    def _request(self) -> Reread | None:
        entry = self._mirror.view.entries.get(self._key)
        try:
            return None if entry is None else read_message(entry.key, entry.value, Reread)
        except BadValue as bad:
            log.warning("request cannot be used", extra={"why": bad})
            return None
