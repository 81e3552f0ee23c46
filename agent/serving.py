"""Whether this node may hold the virtual IP: one pure rule over what both nodes can see.

A node gives the address up where it cannot do with it what it is for and the other one can; and of two that hold it at
once, both able or both unable, one yields. No node gives it up for want of etcd: if both lose etcd, the last answers
must still be reachable. Knows no keepalived and no store.
"""

from __future__ import annotations

from typing import NamedTuple


class Peer(NamedTuple):
    """Another node as its live report tells of it: see `cluster.report.Report`."""

    node: str
    vip: bool
    contested: bool
    serving: bool


class Scene(NamedTuple):
    """What this node sees.

    `vip`: it holds the address. `drained`: it is about to be serviced. `answers`: its coordinator does. `connected`:
    what is told of others is up to date. `leader`: the node that leads, empty for none.
    """

    node: str
    vip: bool
    drained: bool
    answers: bool
    connected: bool
    leader: str
    peers: tuple[Peer, ...]


class Stance(NamedTuple):
    """What follows.

    `serving`: this node can do what the address is for. `contested`: another node holds the address too. `yielding`:
    it is left to that one. `why`: why this node may not hold the address; empty where it may.
    """

    serving: bool
    contested: bool
    yielding: bool
    why: str

    @property
    def gives_up(self) -> bool:
        """Whether this node may not hold the address."""
        return bool(self.why)


def stance(scene: Scene, *, yielding: bool = False) -> Stance:
    """Return what this node does about the virtual IP; `yielding` is what it did before.

    Who yields goes on as long as the other holds the address: if it came back while the two cannot hear each other, it
    would take the address again and again. An able node yields to no other that is unable; where both are, one yields
    all the same, for two holders are worse than one.
    """
    unable = _unable(scene)
    contested = scene.connected and scene.vip and any(peer.vip for peer in scene.peers)
    rivals = [peer for peer in scene.peers if peer.vip and (peer.serving or unable)] if scene.connected else []
    ahead = [rival for rival in rivals if scene.vip and rival.contested and _goes_before(rival, scene)]
    yields = bool(rivals) if yielding else bool(ahead)
    if unable and any(peer.serving for peer in scene.peers):
        why = unable
    elif yields:
        why = "another node holds the virtual IP too and goes before this one"
    else:
        why = ""
    return Stance(not unable, contested, yields, why)


def _unable(scene: Scene) -> str:
    if scene.drained:
        return "this node is drained"
    return "" if scene.answers else "the coordinator of this node does not answer"


def _goes_before(rival: Peer, scene: Scene) -> bool:
    """Both nodes decide this from what both can see: who leads keeps the address, else the smaller uuid."""
    if scene.leader in {rival.node, scene.node}:
        return scene.leader == rival.node
    return rival.node < scene.node
