"""The newest of everything that the agent sees of its node, and a beat whenever it changes.

Knows neither the bus nor the network: it follows whatever tells of keys and of the virtual IP. Nothing is known until
both have spoken once: an agent that has not looked yet must not report a node without keys.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from cluster.pulse import Pulse
from usbwatch.bus import Bus, KeySet

log = logging.getLogger(__name__)

VipSource = Callable[[], AsyncIterator[bool]]
LOOK_AGAIN = 5.0
"""Seconds until a virtual IP that could not be watched is looked for again."""


class Facts(NamedTuple):
    """What a report tells of the node; two reports of the same facts are the same report.

    `reread`: the id of the last request to read the keys again that was done. `abandoned`: how many processes that read
    a key could not be ended. `serving` and `contested`: see `agent.serving.Stance`. `again`: how often the store was
    seen to have lost what was reported.
    """

    keys: KeySet
    vip: bool
    reread: str = ""
    abandoned: int = 0
    serving: bool = True
    contested: bool = False
    again: int = 0


class Sight:
    """Holds the newest facts; `changed` beats after each change of them."""

    def __init__(self) -> None:
        self.changed = Pulse()
        self._keys: KeySet | None = None
        self._vip: bool | None = None
        self._reread = ""
        self._abandoned = 0
        self._serving, self._contested = True, False
        self._again = 0

    @property
    def facts(self) -> Facts | None:
        """The whole of what is seen, or None until everything was looked at."""
        if self._keys is None or self._vip is None:
            return None
        return Facts(self._keys, self._vip, self._reread, self._abandoned, self._serving, self._contested, self._again)

    @property
    def keys(self) -> KeySet | None:
        """The keys that are plugged in, or None until they were looked for."""
        return self._keys

    @property
    def vip(self) -> bool:
        """Whether this node holds the virtual IP, as far as it was looked for."""
        return bool(self._vip)

    def see_keys(self, keys: KeySet, abandoned: int = 0) -> None:
        """Take the whole set of keys that are plugged in now, and how many readers could not be ended so far."""
        if (keys, abandoned) != (self._keys, self._abandoned):
            self._keys, self._abandoned = keys, abandoned
            self.changed.beat()

    def see_vip(self, *, held: bool) -> None:
        """Take whether this node holds the virtual IP now."""
        if held != self._vip:
            self._vip = held
            self.changed.beat()

    def see_stance(self, *, serving: bool, contested: bool) -> None:
        """Take whether this node can do what the virtual IP is for, and whether another one holds that too."""
        if (serving, contested) != (self._serving, self._contested):
            self._serving, self._contested = serving, contested
            self.changed.beat()

    def report_again(self) -> None:
        """Take that the store may have an old report instead of the last one."""
        self._again += 1
        self.changed.beat()

    async def look_again(self, bus: Bus, request: str) -> None:
        """Have all keys read again, and take what was found together with the id of the request."""
        await bus.reread()
        self._keys, self._abandoned = await anext(aiter(bus.watch())), bus.abandoned
        self._reread = request
        self.changed.beat()

    async def prove_again(self, bus: Bus) -> None:
        """Have the keys that can prove themselves do so again, and take what was found."""
        await bus.prove_again()
        self.see_keys(await anext(aiter(bus.watch())), bus.abandoned)

    async def follow_keys(self, bus: Bus) -> None:
        """Follow the bus until it is closed; whatever breaks the bus is raised here."""
        async for keys in bus.watch():
            self.see_keys(keys, bus.abandoned)

    async def follow_vip(self, source: VipSource) -> None:
        """Follow who holds the virtual IP, for ever; where that cannot be seen this node does not hold it."""
        while True:
            try:
                async for held in source():
                    self.see_vip(held=held)
            except OSError as error:
                log.error("virtual IP cannot be watched", extra={"why": error, "again_in": LOOK_AGAIN})  # noqa: TRY400
                self.see_vip(held=False)
            await asyncio.sleep(LOOK_AGAIN)
