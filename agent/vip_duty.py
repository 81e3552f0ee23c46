"""Follows whether this node may hold the virtual IP, tells keepalived, and says so in the node's report.

The rule is in `agent.serving`; this file gathers what it needs: the reports of the others, who leads and who is drained
from the store, and whether the coordinator of this node answers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from agent.serving import Peer, Scene, Stance, stance
from agent.sight import Sight
from agent.track_file import TrackFile
from cluster.drain import drained_nodes
from cluster.election import read_candidate
from cluster.keys import Keys, last_part
from cluster.mirror import Mirror
from cluster.pulse import Pulse
from cluster.report import Report
from cluster.store import Store
from cluster.timings import Timings
from cluster.values import BadValue, read_message
from cluster.waking import AFTERWARDS, first_of

if TYPE_CHECKING:
    from agent.own_coordinator import OwnCoordinator

log = logging.getLogger(__name__)

FIRST_LOOK = 5.0
"""Seconds that an agent which starts waits for the store, before it decides without knowing who is drained."""
LOOK_AGAIN = 1.0
"""Seconds until it is looked at again whether the file says what it shall: somebody else may have changed it."""


class VipDuty:
    """The task; without a `track_file` it only reports, and without a `coordinator` to ask that one counts as well."""

    def __init__(
        self,
        store: Store,
        keys: Keys,
        node: str,
        sight: Sight,
        timings: Timings,
        *,
        track_file: TrackFile | None = None,
        coordinator: OwnCoordinator | None = None,
        first_look: float = FIRST_LOOK,
        look_again: float = LOOK_AGAIN,
    ) -> None:
        self._keys = keys
        self._node = node
        self._sight = sight
        self._reports = Mirror(store, keys.nodes, timings)
        self._drains = Mirror(store, keys.drains, timings)
        self._leader = Mirror(store, keys.leader, timings)
        self._mirrors = (self._reports, self._drains, self._leader)
        self._file = track_file
        self._coordinator = coordinator
        self._stance = Stance(serving=True, contested=False, yielding=False, why="")
        self._first_look_within = first_look
        self._look_again = look_again
        self._complaint = ""

    async def run(self) -> None:
        """Follow it for ever; at the end the node may hold the address again, unless it is drained."""
        async with asyncio.TaskGroup() as group:
            for mirror in self._mirrors:
                group.create_task(mirror.run())
            if self._coordinator is not None:
                group.create_task(self._coordinator.run())
            try:
                await self._follow()
            finally:  # who only restarts the agent has a coordinator that goes on answering
                self._tell(gives_up=self._stance.gives_up and self._drained)

    async def _follow(self) -> None:
        await self._first_look()
        while True:
            news = [pulse.mark() for pulse in self._pulses]
            self._look()
            await first_of(*news, timeout=self._look_again if self._file else None)
            await asyncio.sleep(AFTERWARDS)

    @property
    def _pulses(self) -> Iterator[Pulse]:
        """Whatever may change the stance."""
        yield from (mirror.pulse for mirror in self._mirrors)
        yield self._sight.changed
        if self._coordinator is not None:
            yield self._coordinator.changed

    async def _first_look(self) -> None:
        """Return when all was read once; until then keepalived goes by what it was told last."""
        try:
            async with asyncio.timeout(self._first_look_within):
                for mirror in self._mirrors:
                    while not mirror.connected:
                        await mirror.changed(mirror.version)
        except TimeoutError:
            log.warning("store is out of reach", extra={"what_follows": "the node counts as not drained"})

    def _look(self) -> None:
        """Decide, report, and tell keepalived."""
        now = stance(self._scene(), yielding=self._stance.yielding)
        if now.why != self._stance.why:
            log.warning("virtual IP", extra={"gives_up": now.gives_up, "why": now.why or "this node may hold it"})
        self._stance = now
        self._sight.see_stance(serving=now.serving, contested=now.contested)
        self._tell(gives_up=now.gives_up)

    def _scene(self) -> Scene:
        return Scene(
            node=self._node,
            vip=self._sight.vip,
            drained=self._drained,
            answers=self._coordinator is None or self._coordinator.answers,
            connected=all(mirror.connected for mirror in self._mirrors),
            leader=self._leading(),
            peers=tuple(self._peers()),
        )

    @property
    def _drained(self) -> bool:
        return self._node in drained_nodes(self._drains.view, self._keys)

    def _leading(self) -> str:
        entry = self._leader.view.entries.get(self._keys.leader)
        try:
            return read_candidate(entry).node if entry else ""
        except BadValue:
            return ""

    def _peers(self) -> Iterator[Peer]:
        for entry in self._reports.view.under(self._keys.nodes):
            if last_part(entry.key) == self._node:
                continue
            try:
                report = read_message(entry.key, entry.value, Report)
            except BadValue:
                continue  # the coordinators say so
            yield Peer(report.node, report.vip, report.contested, report.serving)

    def _tell(self, *, gives_up: bool) -> None:
        if self._file is None:
            return
        try:
            self._file.tell(gives_up=gives_up)
        except OSError as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                log.error("track file cannot be written", extra={"why": error})  # noqa: TRY400
        else:
            self._complaint = ""
