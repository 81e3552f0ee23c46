"""Carry out orders on a running demo: change the simulated world, then wait until the agents' reports show it.

Orders are carried out one after the other. Knows no socket and no terminal.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from console.demo_nodes import NotReady
from console.demo_orders import Cannot, Done, Order, Verb
from console.demo_reports import NotSeen, reading_of
from console.demo_supervisor import ChildDied
from licensing.seen import Reading
from usbwatch import simulated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from cluster.report import Report
    from console.demo_keys import VendorDesk
    from console.demo_nodes import Nodes
    from console.demo_reports import Reports
    from console.demo_site import Node, Site

SEEN_WITHIN = 30.0


class Actions:
    """The demo's hands. `within` is how many seconds the agents have to see something."""

    def __init__(
        self, site: Site, desk: VendorDesk, nodes: Nodes, reports: Reports, within: float = SEEN_WITHIN
    ) -> None:
        self._site = site
        self._desk = desk
        self._nodes = nodes
        self._reports = reports
        self._within = within
        self._one_at_a_time = asyncio.Lock()
        self._verbs: Mapping[Verb, Callable[[Order], Awaitable[Done]]] = {
            Verb.PLUG: self._plug,
            Verb.UNPLUG: self._unplug,
            Verb.BREAK: self._break,
            Verb.REPAIR: self._repair,
            Verb.STOP_NODE: self._stop_node,
            Verb.START_NODE: self._start_node,
            Verb.MOVE_VIP: self._move_vip,
        }

    async def carry_out(self, order: Order) -> Done:
        """Do it and return when the agents concerned have seen it.

        Raises:
            Cannot: nothing was done, or it was not seen in time; the text says which.
        """
        async with self._one_at_a_time:
            try:
                return await self._verbs[order.verb](order)
            except (ChildDied, NotReady, OSError) as error:
                raise Cannot(str(error)) from error

    # --- USB keys --------------------------------------------------------------------------------------------------

    async def _plug(self, order: Order) -> Done:
        node = self._node(order)
        key = self._desk.key(order.key)
        if node.has(key.key_id):
            raise Cannot(f"{order.key} is plugged into node {node.label} already.")
        simulated.plug(node.bus, key)
        state = " (it is broken)" if key.broken else ""
        done = f"{order.key} is plugged into node {node.label}{state}."
        return await self._seen(order, [node], done, lambda seen: _settled(reading_of(seen, node.uuid, order.key)))

    async def _unplug(self, order: Order) -> Done:
        node = self._node(order)
        if not node.has(order.key):
            raise Cannot(f"{order.key} is not plugged into node {node.label}.")
        simulated.unplug(node.bus, order.key)
        done = f"{order.key} is unplugged from node {node.label}."
        return await self._seen(order, [node], done, lambda seen: reading_of(seen, node.uuid, order.key) is None)

    async def _break(self, order: Order) -> Done:
        if self._desk.key(order.key).broken:
            raise Cannot(f"{order.key} is broken already.")
        return await self._change(order, broken=True)

    async def _repair(self, order: Order) -> Done:
        if not self._desk.key(order.key).broken:
            raise Cannot(f"{order.key} is not broken.")
        return await self._change(order, broken=False)

    async def _change(self, order: Order, *, broken: bool) -> Done:
        """Break or repair the key wherever it is plugged in."""
        key = self._desk.set_broken(order.key, broken=broken)
        nodes = [node for node in self._site.nodes.values() if node.has(order.key)]
        for node in nodes:
            simulated.plug(node.bus, key)
        done = f"{order.key} {'is broken' if broken else 'works again'}."
        if not nodes:
            return _done(order, f"{done} It is plugged in nowhere: plug it in to see that.", seen=False)
        expected = Reading.FAULTY if broken else Reading.OK
        running = self._running(nodes)
        return await self._seen(
            order,
            nodes,
            done,
            lambda seen: all(reading_of(seen, node.uuid, order.key) is expected for node in running),
        )

    # --- nodes -----------------------------------------------------------------------------------------------------

    async def _stop_node(self, order: Order) -> Done:
        node = self._node(order)
        if not self._nodes.any_alive(node):
            raise Cannot(f"node {node.label} is stopped already.")
        await self._nodes.stop(node, kill=order.kill)
        await self._until(f"node {node.label} is stopped", lambda seen: node.uuid not in seen)
        keeps = " It keeps the virtual IP until you move it." if node.vip.exists() else ""
        return _done(order, f"Node {node.label} is stopped.{keeps}")

    async def _start_node(self, order: Order) -> Done:
        node = self._node(order)
        if self._nodes.all_alive(node):
            raise Cannot(f"node {node.label} is running already.")
        await self._nodes.start([node], self._within)
        return _done(order, f"Node {node.label} is running.")

    async def _move_vip(self, order: Order) -> Done:
        node = self._node(order)
        if node.vip.exists():
            raise Cannot(f"node {node.label} has the virtual IP already.")
        others = [other for other in self._site.nodes.values() if other != node]
        for other in others:
            other.vip.unlink(missing_ok=True)
        if losing := self._running(others):  # first gone there, then here: at no time are there two holders
            await self._until("The virtual IP is on no node", lambda seen: not any(map(_holds(seen), losing)))
        node.vip.touch()
        done = f"The virtual IP is on node {node.label}."
        return await self._seen(order, [node], done, lambda seen: _holds(seen)(node))

    # --- waiting ---------------------------------------------------------------------------------------------------

    async def _seen(
        self, order: Order, nodes: Iterable[Node], text: str, shown: Callable[[Mapping[str, Report]], bool]
    ) -> Done:
        """Wait for it to show where an agent runs; say so where none does."""
        stopped = [node.label for node in nodes if not self._nodes.agent_alive(node)]
        if self._running(nodes):
            await self._until(text, shown)
        if not stopped:
            return _done(order, text)
        later = f"Node {' and '.join(stopped)} is stopped: it will be seen there when the node starts."
        return _done(order, f"{text} {later}", seen=bool(self._running(nodes)))

    async def _until(self, text: str, shown: Callable[[Mapping[str, Report]], bool]) -> None:
        try:
            await self._reports.until(shown, self._within)
        except NotSeen as error:
            raise Cannot(
                f"{text.rstrip('.')}, but the agent's report does not show it: {error}. "
                f"Look at the logs in {self._site.folder}."
            ) from error

    def _running(self, nodes: Iterable[Node]) -> list[Node]:
        return [node for node in nodes if self._nodes.agent_alive(node)]

    def _node(self, order: Order) -> Node:
        if order.node not in self._site.nodes:
            known = ", ".join(self._site.nodes)
            raise Cannot(f"this demo has no node {order.node!a}; its nodes: {known}.")
        return self._site.nodes[order.node]


def _done(order: Order, text: str, *, seen: bool = True) -> Done:
    return Done(order.verb, order.node, order.key, seen, text)


def _settled(reading: Reading | None) -> bool:
    return reading not in (None, Reading.PENDING)


def _holds(seen: Mapping[str, Report]) -> Callable[[Node], bool]:
    return lambda node: node.uuid in seen and seen[node.uuid].vip
