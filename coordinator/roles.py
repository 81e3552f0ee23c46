"""Which node is drained and who holds the virtual IP, as this coordinator sees it; knows nothing of licences.

The virtual IP is no role that is decided here: keepalived moves it, the agents watch it. Two nodes that say to hold it
at once are a state to show, not to deny.
"""

from __future__ import annotations

from typing import Literal

from coordinator.notices import Notice
from licensing.status import Alert
from licensing.value import Value

VipState = Literal["held", "nobody", "conflict"]


class NodeRole(Value, frozen=True):
    """One member of the site, as its report tells, its last one where it is not `live`, and the mark of a drain.

    `version`: that of its agent's software; empty where the report does not say.
    """

    node: str
    name: str
    live: bool
    vip: bool = False
    watches_vip: bool = False
    serving: bool = True
    drained: bool = False
    version: str = ""

    @property
    def holds_vip(self) -> bool:
        """Whether it holds the virtual IP now."""
        return self.live and self.vip


class Roles(Value, frozen=True):
    """All members, in their order."""

    nodes: tuple[NodeRole, ...] = ()

    def of(self, node: str) -> NodeRole:
        """Return what is known of a node; one that is no member is unknown in all."""
        return next((role for role in self.nodes if role.node == node), NodeRole(node, node, live=False))

    @property
    def vip_holders(self) -> tuple[str, ...]:
        """The nodes that hold the virtual IP."""
        return tuple(role.node for role in self.nodes if role.holds_vip)

    @property
    def vip_state(self) -> VipState | None:
        """Whether one node holds the virtual IP; None where none of them looks for one."""
        holders = len(self.vip_holders)
        if not holders and not any(role.watches_vip for role in self.nodes):
            return None
        return "nobody" if not holders else "held" if holders == 1 else "conflict"

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What an operator should know of it."""
        if self.vip_state != "conflict":
            return ()
        names = " and ".join(role.name for role in self.nodes if role.holds_vip)
        sentence = (
            f"The nodes {names} both hold the virtual IP, so callers reach now one and now the other: check the "
            "network between them, and that keepalived runs on both and goes by the agents' track_file. A first "
            "licence can be installed when one of them holds it."
        )
        return (Notice(Alert.VIP_CONFLICT, sentence),)

    def able(self, but: str) -> frozenset[str]:
        """Return the nodes beside one that can take roles over: live, able to serve, and not drained themselves."""
        return frozenset(
            role.node for role in self.nodes if role.node != but and role.live and role.serving and not role.drained
        )
