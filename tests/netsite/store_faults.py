"""Faults of etcd's members and of the disks."""

from __future__ import annotations

from tests.netsite.asking import ETCD_PORT
from tests.netsite.fault import LEADER, OTHER, Scene, Table, fresh, stale
from tests.netsite.leader_faults import ETCD_TOO, TERM_OVER
from tests.netsite.licences import UPLOAD, new_licence, times_installed
from tests.netsite.netsite import ADDRESSES, AT_REST, WITNESS, now
from tests.netsite.network_faults import NOTICED
from tests.waiting import eventually_sync

TABLE = Table("etcd and disks")
AT_ONCE = 0.5
KNOWN = 4.0
"""Seconds within which a caller knows what became of an upload that etcd did not confirm: two calls, and some time."""
MEMBER_LOST = 3.0
"""Seconds within which a daemon has turned to another member."""
FILLER = "/filler"
"""A key that is no site's."""
LARGE = 1 << 18


@TABLE.row(
    "The witness is lost.",
    readers="Both nodes go on answering.",
    guarantee="The two nodes are a quorum: the same coordinator leads, and changes are published.",
    within=AT_ONCE,
)
def witness_lost(scene: Scene) -> float:
    """Kill the witness, which does not lead etcd, and plug a key in."""
    scene.site.move_etcd_leader(scene.leader)
    scene.site.witness.kill()
    scene.begin()
    return scene.seen_by_both(scene.in_the_same_term(scene.plugged(scene.other)))


@TABLE.row(
    "Two of the three etcd members are lost.",
    readers="Both nodes give the last answer and say that it is stale.",
    guarantee="Uploads get 503 with Retry-After, and the licence stays what it was.",
    within=NOTICED,
)
def quorum_lost(scene: Scene) -> float:
    """Kill etcd on the witness and on the node that follows."""
    name, file = new_licence(scene.site, scene.leader)
    scene.begin()
    scene.site.witness.kill()
    scene.node(scene.other).etcd.kill()
    noticed = scene.seen_by_both(stale)
    for label in scene.site.labels:
        answer = scene.site.call(label, "POST", UPLOAD, file)
        assert (answer.status, bool(answer.headers["Retry-After"])) == (503, True), answer
    scene.site.start()
    assert times_installed(scene.site, scene.leader, name) == 0
    return noticed


@TABLE.row(
    "All etcd members are killed and started again.",
    readers="Both nodes give the last answer, stale while etcd is away.",
    guarantee="Fresh answers come again by themselves; measured from the start of etcd.",
    within=ETCD_TOO + 1.0,
)
def all_members_killed(scene: Scene) -> float:
    """SIGKILL every member, wait until both nodes have noticed, and start them."""
    for machine in scene.site.members.values():
        machine.etcd.kill()
    scene.seen_by_both(stale)
    scene.begin()
    for machine in scene.site.members.values():
        machine.etcd.start()
    return scene.seen_by_both(fresh)


@TABLE.row(
    "The etcd member of the node that leads is killed, and led etcd.",
    readers="Both nodes go on answering.",
    guarantee="Daemons turn to another member; changes are published.",
    within=MEMBER_LOST,
)
def leading_member_killed(scene: Scene) -> float:
    """SIGKILL the member on the leader's node, which the leader uses, and plug a key in."""
    _let_the_leader_use_its_own_member(scene)
    scene.site.move_etcd_leader(scene.leader)
    scene.begin()
    scene.node(scene.leader).etcd.kill()
    return scene.seen_by_both(scene.plugged(scene.other))


@TABLE.row(
    "The etcd member of the node that leads hangs.",
    readers="Both nodes go on answering.",
    guarantee="Daemons turn to another member; changes are published.",
    within=MEMBER_LOST,
)
def member_frozen(scene: Scene) -> float:
    """SIGSTOP the member on the leader's node, which the leader uses and does not lead etcd, and plug a key in."""
    _let_the_leader_use_its_own_member(scene)
    scene.site.move_etcd_leader(scene.other)
    scene.begin()
    scene.node(scene.leader).etcd.freeze()
    return scene.seen_by_both(scene.plugged(scene.other))


@TABLE.row(
    "etcd's leader is moved by hand.",
    readers="Both nodes go on answering.",
    guarantee="The same coordinator leads, in the same epoch; changes are published.",
    within=AT_ONCE,
)
def etcd_leader_moved(scene: Scene) -> float:
    """Let every member lead etcd in turn, and plug a key in."""
    for label in (*scene.site.labels, WITNESS):
        scene.site.move_etcd_leader(label)
    scene.begin()
    measured = scene.seen_by_both(scene.plugged(scene.other))
    assert scene.site.status(scene.other)["epoch"] == scene.before["epoch"]
    return measured


@TABLE.row(
    "The disk of an etcd member is full.",
    readers="Both nodes go on answering.",
    guarantee="Changes are published by the other two members, and the member comes back when there is room.",
    within=MEMBER_LOST,
)
def etcd_disk_full(scene: Scene) -> float:
    """Fill the disk under the member of the node that leads, write until the member ends of that, and plug a key in."""
    node, witness = scene.node(scene.leader), scene.site.member(WITNESS)
    node.fill_disk("etcd")

    def ended() -> bool:
        witness.put(FILLER, bytes(LARGE))  # the journal has room in advance, the database has not
        return not node.etcd.running

    eventually_sync(ended, AT_REST, "the member ends for want of room")
    scene.begin()
    return scene.seen_by_both(scene.plugged(scene.other))


@TABLE.row(
    "The disks of both nodes are full where the daemons keep their own files.",
    readers="The node that leads next goes on answering.",
    guarantee="Leaders change and uploads are installed all the same.",
    within=TERM_OVER,
    lost=[LEADER],
)
def state_disks_full(scene: Scene) -> float:
    """Fill both disks, kill the leader, and upload a licence to the next one."""
    name, file = new_licence(scene.site, scene.other)
    for label in scene.site.labels:
        scene.node(label).fill_disk("state")
    scene.begin()
    scene.node(scene.leader).coordinator.kill()
    taken = scene.seen(scene.other, scene.led_by(scene.other))
    assert scene.site.call(scene.other, "POST", UPLOAD, file).status == 200
    assert times_installed(scene.site, scene.other, name) == 1
    return taken


@TABLE.row(
    "A coordinator is started while its disk is full and etcd has a quorum.",
    readers="The other node goes on answering.",
    guarantee="It serves the answer that is published; measured from its start. Only where etcd is away as well for "
    "more than a second does it serve what its disk has, stale, which may be older than what it told before.",
    within=2.0,
    lost=[OTHER],
)
def started_on_a_full_disk(scene: Scene) -> float:
    """Fill the disk of the node that follows, let something change, and restart its coordinator."""
    node = scene.node(scene.other)
    node.fill_disk("state")
    published = scene.plugged(scene.leader)
    scene.seen_by_both(published)
    node.coordinator.kill()
    scene.begin()
    node.coordinator.start()
    return scene.seen(scene.other, published)


@TABLE.row(
    "An upload comes in while etcd elects a leader.",
    readers="Both nodes go on answering.",
    guarantee="It is installed once, or refused with 503 and not installed; measured until the caller knows.",
    within=KNOWN,
)
def upload_while_etcd_elects(scene: Scene) -> float:
    """Freeze etcd's leader on the witness, and upload a licence at once."""
    scene.site.move_etcd_leader(WITNESS)
    name, file = new_licence(scene.site, scene.other)
    scene.site.witness.freeze()
    scene.begin()
    answer = scene.site.call(scene.other, "POST", UPLOAD, file)
    measured = now() - scene.began
    assert answer.status in (200, 202, 503), answer
    if answer.status == 202:
        eventually_sync(lambda: times_installed(scene.site, scene.other, name) == 1)
    elif answer.status == 200:
        assert times_installed(scene.site, scene.other, name) == 1
    else:
        assert times_installed(scene.site, scene.other, name) == 0
    return measured


def _let_the_leader_use_its_own_member(scene: Scene) -> None:
    """Restart the coordinators, which after other faults may use any member, until the leader uses its own."""
    site, label = scene.site, scene.leader
    own = f"[::ffff:{ADDRESSES[label]}]:{ETCD_PORT}"  # as a socket for both kinds of addresses shows it

    def used() -> set[str]:
        pid = site.nodes[label].coordinator.pid
        listed = site.hosts[label].run("ss", "-Htnp", "state", "established", f"dport = :{ETCD_PORT}")
        lines = [line.split() for line in listed.splitlines() if f"pid={pid}," in line]
        return {peer for _, _, _, peer, _ in lines}

    def restarted() -> bool:
        scene.restart_coordinators()
        return used() == {own}

    eventually_sync(restarted, AT_REST, f"node {label}'s coordinator uses the etcd member of its node")
