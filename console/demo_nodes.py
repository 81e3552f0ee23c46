"""The daemons of the demo's nodes: which programs they are, and when a node is up.

Knows processes and HTTP readiness, no keys and no orders.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from console.demo_reports import NotSeen
from console.demo_supervisor import PATIENCE, Program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.demo_reports import Reports
    from console.demo_site import Node, Site
    from console.demo_supervisor import Supervisor

PAUSE = 0.05  # between two questions whether a daemon answers yet
ONE_ANSWER = 1.0


class NotReady(Exception):  # noqa: N818 - it says what happened
    """A daemon does not answer in time; the text says which and where its log is."""


class Nodes:
    """Starts and stops whole nodes."""

    def __init__(self, site: Site, supervisor: Supervisor, reports: Reports) -> None:
        self._site = site
        self._supervisor = supervisor
        self._reports = reports

    def agent_alive(self, node: Node) -> bool:
        """Tell whether the node's agent runs, so that it can see things."""
        return self._supervisor.alive(node.agent)

    def any_alive(self, node: Node) -> bool:
        """Tell whether there is something to stop."""
        return any(map(self._supervisor.alive, node.daemons))

    def all_alive(self, node: Node) -> bool:
        """Tell whether there is nothing to start."""
        return all(map(self._supervisor.alive, node.daemons))

    async def start(self, nodes: Sequence[Node], within: float) -> None:
        """Start what does not run; return when every node's report is live and its HTTP API is ready.

        Raises:
            ChildDied: one of the daemons ended instead.
            NotReady: not within so many seconds.
        """
        for program in (program for node in nodes for program in self._programs(node)):
            if not self._supervisor.alive(program.name):
                await self._supervisor.start(program)
        names = [name for node in nodes for name in node.daemons]
        await self._supervisor.unless_dead(names, self._all_up(nodes, within))

    async def stop(self, node: Node, *, kill: bool) -> None:
        """End the node's daemons, politely or outright."""
        await self._supervisor.stop(node.daemons, patience=0 if kill else PATIENCE)

    async def _all_up(self, nodes: Sequence[Node], within: float) -> None:
        for node in nodes:  # they come up side by side whatever the order of waiting
            await self._up(node, within)

    async def _up(self, node: Node, within: float) -> None:
        try:
            async with asyncio.timeout(within):
                await self._reports.until(
                    lambda seen: node.uuid in seen and seen[node.uuid].vip == node.vip.exists(), within
                )
                await answering(f"{node.url}/readyz")
        except (NotSeen, TimeoutError) as error:
            raise NotReady(
                f"node {node.label} is not ready within {within:g} s ({error}): see the logs in {node.folder}"
            ) from error

    def _programs(self, node: Node) -> tuple[Program, Program]:
        twinkey = str(Path(sys.executable).with_name("twinkey"))
        return (
            Program(
                node.agent,
                (twinkey, "agent", "--config", f"{node.label}/agent.toml"),
                self._site.folder,
                node.folder / "agent.log",
            ),
            Program(
                node.coordinator,
                (twinkey, "coordinator", "--config", f"{node.label}/coordinator.toml"),
                self._site.folder,
                node.folder / "coordinator.log",
            ),
        )


async def answering(url: str) -> None:
    """Return when this address answers 200, however long that takes."""
    patience = aiohttp.ClientTimeout(total=ONE_ANSWER)
    async with aiohttp.ClientSession(timeout=patience) as session:
        while not await _answers(session, url):  # noqa: ASYNC110 - another process sets no event of ours
            await asyncio.sleep(PAUSE)


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as answer:
            return answer.ok
    except (aiohttp.ClientError, TimeoutError):
        return False
