"""Faults of the agents and of the virtual IP."""

from __future__ import annotations

from tests.netsite.fault import LEADER, Scene, Table, held_by, vip_holders
from tests.netsite.leader_faults import IP_HANDED_OVER, IP_MOVED
from tests.netsite.netsite import now
from tests.site import LEASE_TTL

TABLE = Table("Agents and virtual IP")
REPORT_OVER = LEASE_TTL + 0.7
AT_ONCE = 0.5
HUNG = 1.5
"""Seconds after which both nodes are shown as holders, where keepalived does not tell that it has gone."""


@TABLE.row(
    "The agent of the node with the USB key is killed.",
    readers="The node is shown as unreachable, its key is still shown, and the licence does not change.",
    guarantee="A key that nobody can look at is no pulled key.",
    within=REPORT_OVER,
)
def agent_killed(scene: Scene) -> float:
    """SIGKILL the agent."""
    scene.begin()
    scene.node("a").agent.kill()
    return scene.seen_by_both(scene.out_of_sight("a"))


@TABLE.row(
    "The agent of the node with the USB key hangs, and goes on later.",
    readers="The node is shown as unreachable until it goes on; its key is still shown.",
    guarantee="What happened meanwhile is seen when it goes on.",
    within=REPORT_OVER,
)
def agent_frozen(scene: Scene) -> float:
    """SIGSTOP the agent, plug a key into its node, and let it go on."""
    scene.begin()
    scene.node("a").agent.freeze()
    noticed = scene.seen_by_both(scene.out_of_sight("a"))
    meanwhile = scene.plugged("a")
    scene.node("a").agent.thaw()
    scene.seen_by_both(meanwhile)
    return noticed


@TABLE.row(
    "An agent is told to stop.",
    readers="The node is shown as unreachable at once, and its key is still shown.",
    guarantee="An agent that ends in order takes its report back.",
    within=AT_ONCE,
)
def agent_stopped(scene: Scene) -> float:
    """SIGTERM the agent."""
    scene.begin()
    scene.node("a").agent.stop()
    return scene.seen_by_both(scene.out_of_sight("a"))


@TABLE.row(
    "The USB key is pulled out while the agent is down, and the agent is started again.",
    readers="That the key is missing; the licence is valid.",
    guarantee="The agent reports what is there when it starts; measured from its start.",
    within=2.0,
)
def key_pulled_without_an_agent(scene: Scene) -> float:
    """Kill the agent, pull the key, and start the agent."""
    scene.node("a").agent.kill()
    scene.site.unplug("a", scene.site.base)
    scene.begin()
    scene.node("a").agent.start()
    return scene.seen_by_both(lambda reading: reading.fresh and reading.status["keyState"] == "Missing")


@TABLE.row(
    "keepalived is told to stop on the node that holds the virtual IP.",
    readers="Both nodes and the virtual IP go on answering.",
    guarantee="The virtual IP moves, and both nodes show who holds it; leadership does not move.",
    within=AT_ONCE,
    vip_gap=IP_HANDED_OVER,
)
def keepalived_stopped(scene: Scene) -> float:
    """SIGTERM keepalived."""
    holder = _holder(scene)
    scene.begin()
    scene.node(holder).keepalived.stop()
    return scene.seen_by_both(scene.in_the_same_term(held_by(scene.site.other(holder))))


@TABLE.row(
    "keepalived is killed on the node that holds the virtual IP.",
    readers="Both nodes go on answering; both are shown as holders, for the first keeps the address.",
    guarantee="Two holders are seen and shown.",
    within=HUNG,
)
def keepalived_killed(scene: Scene) -> float:
    """SIGKILL all of keepalived."""
    scene.begin()
    scene.node(_holder(scene)).keepalived.kill()
    return scene.seen_by_both(held_by(*scene.site.labels))


@TABLE.row(
    "keepalived hangs on the node that holds the virtual IP.",
    readers="Both nodes go on answering, and both are shown as holders until it goes on.",
    guarantee="Two holders are seen and shown; the first licence of a site is refused meanwhile.",
    within=HUNG,
)
def keepalived_frozen(scene: Scene) -> float:
    """SIGSTOP keepalived, and let it go on."""
    holder = _holder(scene)
    scene.begin()
    scene.node(holder).keepalived.freeze()
    measured = scene.seen_by_both(held_by(*scene.site.labels))
    for label in scene.site.labels:
        assert scene.site.status(label)["vipState"] == "conflict", f"node {label} does not call it a conflict"
    scene.node(holder).keepalived.thaw()
    since = now()
    for label in scene.site.labels:
        scene.site.seen(label, since, lambda reading: reading.fresh and len(vip_holders(reading)) == 1)
    return measured


@TABLE.row(
    "The node that holds the virtual IP is lost.",
    readers="The other node goes on answering, and soon under the virtual IP too.",
    guarantee="The virtual IP moves; measured is how long nothing answered there.",
    within=IP_MOVED,
    lost=[LEADER],
)
def virtual_ip_holder_lost(scene: Scene) -> float:
    """Kill everything on the leader's node, which holds the virtual IP; return how long nothing answered there."""
    scene.give_vip(scene.leader)
    scene.begin()
    scene.site.network.port_down(scene.leader)
    scene.node(scene.leader).kill()
    return scene.vip_silence()


def _holder(scene: Scene) -> str:
    (holder,) = scene.site.holders(scene.before)
    return holder
