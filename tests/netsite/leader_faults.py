"""Faults of the coordinators and of whole nodes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from tests.netsite.fault import LEADER, OTHER, Scene, Table, fresh
from tests.netsite.licences import UPLOAD, new_licence, times_installed
from tests.netsite.netsite import VIP, now
from tests.netsite.readers import Reading
from tests.site import KEYS, LEASE_TTL
from tests.waiting import eventually_sync

TABLE = Table("Coordinators and nodes")
TERM_OVER = LEASE_TTL + 0.7
"""Seconds after which a silent leader has certainly been replaced, where etcd keeps its own leader."""
ETCD_TOO = LEASE_TTL + 2.0
"""The same where etcd loses its leader at the same moment, so that leases start over."""
IP_MOVED = 1.5
"""Seconds for which nothing answers at the virtual IP when its holder is lost."""
IP_HANDED_OVER = 1.0
"""The same when its holder's keepalived ends in order."""


@TABLE.row(
    "The leader's process is killed.",
    readers="The other node goes on answering; its answers are stale until it leads.",
    guarantee="The other node leads when the lease is over.",
    within=TERM_OVER,
    lost=[LEADER],
)
def leader_killed(scene: Scene) -> float:
    """SIGKILL the leader."""
    scene.begin()
    scene.node(scene.leader).coordinator.kill()
    return scene.seen(scene.other, scene.led_by(scene.other))


@TABLE.row(
    "The leader's process is told to stop.",
    readers="The other node goes on answering.",
    guarantee="The leader gives its lease back first, and the other node leads at once.",
    within=0.2,
    lost=[LEADER],
)
def leader_stopped(scene: Scene) -> float:
    """SIGTERM the leader."""
    scene.begin()
    scene.node(scene.leader).coordinator.stop()
    return scene.seen(scene.other, scene.led_by(scene.other))


@TABLE.row(
    "The leader's process hangs, and goes on after another one leads.",
    readers="The other node goes on answering; the one that hung answers again, with what has happened since.",
    guarantee="Whoever wakes up after its lease publishes nothing: etcd refuses it.",
    within=TERM_OVER,
    lost=[LEADER],
)
def leader_frozen(scene: Scene) -> float:
    """SIGSTOP the leader, let the other one take over, and let the first go on in the midst of a change."""
    scene.begin()
    scene.node(scene.leader).coordinator.freeze()
    meanwhile = scene.plugged(scene.other)
    taken = scene.seen(scene.other, scene.led_by(scene.other))
    scene.node(scene.leader).coordinator.thaw()
    scene.seen(scene.leader, meanwhile)
    later = scene.plugged(scene.leader)
    scene.seen_by_both(lambda reading: later(reading) and reading.status["leader"]["name"] == scene.other)
    return taken


@TABLE.row(
    "The leader dies with an upload on its desk.",
    readers="The other node goes on answering.",
    guarantee="The upload is carried out by the next leader, once, and the caller is told so.",
    within=TERM_OVER,
    lost=[LEADER],
)
def leader_killed_in_an_upload(scene: Scene) -> float:
    """Freeze the leader, put an upload on its desk, and kill it."""
    name, file = new_licence(scene.site, scene.other)
    scene.node(scene.leader).coordinator.freeze()
    with ThreadPoolExecutor(1) as caller:
        answer = caller.submit(scene.site.call, scene.other, "POST", UPLOAD, file)
        eventually_sync(lambda: scene.site.member(scene.other).under(KEYS.inboxes))
        scene.begin()
        scene.node(scene.leader).coordinator.kill()
        assert answer.result(timeout=20).status == 200
    measured = now() - scene.began
    assert times_installed(scene.site, scene.other, name) == 1
    return measured


@TABLE.row(
    "Both coordinators are killed and started again.",
    readers="Nobody answers until they have started; then both tell what was published last.",
    guarantee="Nothing is forgotten, and one of them leads when the old lease is over.",
    within=ETCD_TOO,
    lost=[LEADER, OTHER],
)
def both_coordinators_killed(scene: Scene) -> float:
    """SIGKILL both coordinators and start them again."""
    nodes = [scene.node(label) for label in scene.site.labels]
    for node in nodes:
        node.coordinator.kill()
    scene.begin()
    for node in nodes:
        node.coordinator.start()
    return scene.seen_by_both(lambda reading: fresh(reading) and reading.status["epoch"] > scene.before["epoch"])


@TABLE.row(
    "The USB key is pulled out while nobody leads.",
    readers="The last answer, stale, until somebody leads; then that the key is missing.",
    guarantee="The removal is found; the licence stays valid, by a buffer or by another licence of the site.",
    within=TERM_OVER,
    lost=[LEADER],
)
def key_pulled_without_a_leader(scene: Scene) -> float:
    """SIGKILL the leader and pull the key."""
    scene.begin()
    scene.node(scene.leader).coordinator.kill()
    scene.site.unplug("a", scene.site.base)
    return scene.seen(scene.other, lambda reading: reading.fresh and reading.status["keyState"] == "Missing")


@TABLE.row(
    "A key is plugged in while nobody leads.",
    readers="The last answer, stale, until somebody leads; then the new key.",
    guarantee="What is plugged in is found, whenever that was.",
    within=TERM_OVER,
    lost=[LEADER],
)
def key_plugged_without_a_leader(scene: Scene) -> float:
    """SIGKILL the leader and plug a key into the other node."""
    scene.begin()
    scene.node(scene.leader).coordinator.kill()
    return scene.seen(scene.other, scene.plugged(scene.other))


@TABLE.row(
    "The whole node that leads is lost, with etcd's own leader on it.",
    readers="The other node goes on answering; its answers are stale until it leads.",
    guarantee="The other node leads, its leases counted anew by etcd's next leader.",
    within=ETCD_TOO,
    lost=[LEADER],
)
def node_lost_with_etcds_leader(scene: Scene) -> float:
    """Kill everything on the leader's node at once."""
    scene.site.move_etcd_leader(scene.leader)
    scene.begin()
    scene.node(scene.leader).kill()
    return scene.seen(scene.other, scene.led_by(scene.other))


@TABLE.row(
    "The node with the USB key is lost.",
    readers="The other node shows it as unreachable, and goes on showing its key.",
    guarantee="A node that cannot be seen is no pulled key: the licence does not change.",
    within=ETCD_TOO + LEASE_TTL,
    lost=["a"],
)
def node_with_the_key_lost(scene: Scene) -> float:
    """Kill everything on the node in which the key is."""
    scene.begin()
    scene.node("a").kill()
    return scene.seen("b", scene.out_of_sight("a"))


@TABLE.row(
    "The whole node that leads hangs, and goes on later.",
    readers="The other node goes on answering, and so does the virtual IP.",
    guarantee="The other node leads; the one that wakes up follows and publishes nothing.",
    within=ETCD_TOO,
    lost=[LEADER],
    vip_gap=IP_MOVED,
)
def node_frozen(scene: Scene) -> float:
    """Freeze everything on the leader's node, and thaw it once the other one leads."""
    scene.begin()
    scene.node(scene.leader).freeze()
    taken = scene.seen(scene.other, scene.led_by(scene.other))
    meanwhile = scene.plugged(scene.other)
    scene.seen(scene.other, meanwhile)
    scene.node(scene.leader).thaw()
    scene.seen_by_both(lambda reading: meanwhile(reading) and reading.status["leader"]["name"] == scene.other)
    return taken


@TABLE.row(
    "The node that leads is shut down in order.",
    readers="The other node and the virtual IP go on answering.",
    guarantee="The other node leads before the first one is down.",
    within=2.0,
    lost=[LEADER],
    vip_gap=IP_HANDED_OVER,
)
def node_shut_down(scene: Scene) -> float:
    """SIGTERM everything on the leader's node."""
    scene.begin()
    scene.node(scene.leader).stop()
    down = now() - scene.began
    taken = scene.seen(scene.other, scene.led_by(scene.other))
    assert taken < down, f"the other node led after {taken:.2f} s, and the first one was down after {down:.2f} s"
    return taken


@TABLE.row(
    "All machines are restarted, one after the other.",
    readers="The node that is not being restarted goes on answering.",
    guarantee="No answer is stale for longer than it takes to elect a leader in order; measured is the longest time.",
    within=2.0,
    lost=[LEADER, OTHER],
)
def rolling_restart(scene: Scene) -> float:
    """Stop and start every machine in turn; return the longest time in which a node that ran gave no fresh answer."""
    longest = 0.0
    for label, machine in scene.site.members.items():
        since = now()
        machine.stop()
        machine.start()
        running = [each for each in scene.site.labels if each != label]
        for each in scene.site.labels:
            scene.site.seen(each, now(), whole)
        for each in running:
            readings = scene.readers.since(since, each)
            assert all(reading.http == 200 for reading in readings), f"node {each} gave no answer"
            at = [since, *(reading.told for reading in readings if reading.fresh)]
            longest = max(longest, *(later - earlier for earlier, later in pairwise(at)))
    return longest


@TABLE.row(
    "The power fails everywhere, and comes back.",
    readers="Nobody answers until the nodes have started; then both tell what was published last.",
    guarantee="All that was ever accepted is there again, and answers go on where they ended.",
    within=ETCD_TOO + 2.0,
    lost=[LEADER, OTHER],
)
def power_lost(scene: Scene) -> float:
    """SIGKILL everything on every machine, and start it again."""
    name, file = new_licence(scene.site, scene.other)
    assert scene.site.call(scene.other, "POST", UPLOAD, file).status == 200
    for machine in scene.site.members.values():
        machine.kill()
    scene.begin()
    for machine in scene.site.members.values():
        machine.start()
    measured = scene.seen_by_both(lambda reading: reading.fresh and reading.status["epoch"] > scene.before["epoch"])
    scene.seen(VIP, fresh)
    assert times_installed(scene.site, scene.other, name) == 1
    return measured


def whole(reading: Reading) -> bool:
    """Whether an answer is fresh and shows every node as reachable."""
    return reading.fresh and all(node["reachable"] for node in reading.status["nodes"])
