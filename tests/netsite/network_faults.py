"""Faults of the network between the machines of a site."""

from __future__ import annotations

import json

from tests.netsite.fault import LEADER, Scene, Table, fresh, stale
from tests.netsite.leader_faults import ETCD_TOO, IP_MOVED
from tests.netsite.licences import UPLOAD, new_licence, times_installed
from tests.netsite.netsite import PORT, WITNESS, now
from tests.site import TWINKEY, let_pass

TABLE = Table("Network")
FLAPS = 5
FLAP = 0.2
"""Seconds for which a cable is out, and in."""
NOTICED = 3.7
"""Seconds after which a node that cannot reach a quorum says so."""
SPOOLED = 5
"""Exit code of `twinkey license install` when the licence waits in the spool."""


@TABLE.row(
    "The two nodes cannot reach each other; both reach the witness.",
    readers="Both nodes go on answering; what changes on either is seen on both.",
    guarantee="etcd keeps its quorum through the witness, and one coordinator leads.",
    within=2.0,
)
def nodes_cannot_see_each_other(scene: Scene) -> float:
    """Drop what passes between the two nodes, and plug a key into the one that follows."""
    scene.site.network.cut("a", "b")
    let_pass(2.0)  # so that etcd and keepalived have drawn their conclusions
    scene.begin()
    measured = scene.seen_by_both(scene.plugged(scene.other))
    scene.site.leader()  # by its own word there is exactly one
    return measured


@TABLE.row(
    "The node that leads is cut off from the other node and the witness; clients reach it.",
    readers="The other node goes on; the one that is cut off gives the last answer and says that it is stale.",
    guarantee="The node that is cut off stops leading, and the other one leads.",
    within=ETCD_TOO,
)
def leader_cut_off(scene: Scene) -> float:
    """Drop what passes between the leader's node and the other members."""
    scene.begin()
    scene.site.network.split(scene.leader, f"{scene.other} {WITNESS}")
    taken = scene.seen(scene.other, scene.led_by(scene.other))
    scene.seen(scene.leader, stale)
    return taken


@TABLE.row(
    "The node that follows is cut off from the other node and the witness; clients reach it.",
    readers="The leader goes on; the one that is cut off gives the last answer and says that it is stale.",
    guarantee="A node that cannot reach a quorum says so.",
    within=NOTICED,
)
def follower_cut_off(scene: Scene) -> float:
    """Drop what passes between the following node and the other members."""
    scene.begin()
    scene.site.network.split(scene.other, f"{scene.leader} {WITNESS}")
    noticed = scene.seen(scene.other, stale)
    scene.seen(scene.leader, scene.plugged(scene.leader))
    return noticed


@TABLE.row(
    "The node that leads is cut off from everybody.",
    readers="The other node and the virtual IP go on answering; the node's own console is told the last answer.",
    guarantee="The other node leads.",
    within=ETCD_TOO,
    lost=[LEADER],
    vip_gap=IP_MOVED,
)
def leader_isolated(scene: Scene) -> float:
    """Drop what passes between the leader's node and everybody."""
    scene.begin()
    scene.site.network.isolate(scene.leader)
    taken = scene.seen(scene.other, scene.led_by(scene.other))
    scene.site.wait_for(scene.leader, lambda status: status["stale"], NOTICED, source=scene.leader)
    return taken


@TABLE.row(
    "The witness is cut off from both nodes, and had etcd's own leader.",
    readers="Both nodes go on answering.",
    guarantee="The two nodes are a quorum, and changes are published; the same coordinator leads, unless etcd's own "
    "election outlasts its lease.",
    within=3.0,
)
def witness_cut_off(scene: Scene) -> float:
    """Drop what passes between the witness and the nodes, and plug a key in."""
    scene.site.move_etcd_leader(WITNESS)
    scene.begin()
    scene.site.network.isolate(WITNESS)
    return scene.seen_by_both(scene.plugged(scene.other))


@TABLE.row(
    "The cable of the node that leads is pulled.",
    readers="The other node and the virtual IP go on answering.",
    guarantee="The other node leads.",
    within=ETCD_TOO + 1.0,
    lost=[LEADER],
    vip_gap=IP_MOVED,
)
def cable_pulled(scene: Scene) -> float:
    """Put the port of the leader's node down."""
    scene.begin()
    scene.site.network.port_down(scene.leader)
    return scene.seen(scene.other, scene.led_by(scene.other))


@TABLE.row(
    "The cable of the node that leads goes out and in again, several times.",
    readers="The other node goes on answering.",
    guarantee="Both nodes agree again after the last time; measured from there.",
    within=ETCD_TOO,
    lost=[LEADER],
)
def cable_flaps(scene: Scene) -> float:
    """Put the port of the leader's node down and up in quick succession."""
    for _ in range(FLAPS):
        scene.site.network.port_down(scene.leader)
        let_pass(FLAP)
        scene.site.network.port_up(scene.leader)
        let_pass(FLAP)
    scene.begin()
    return scene.seen_by_both(scene.plugged(scene.leader))


@TABLE.row(
    "A licence is uploaded to a node that is cut off.",
    readers="Both nodes go on answering.",
    guarantee="The answer is 503 with Retry-After, at once; `twinkey license install` keeps the file and installs it "
    "later, once.",
    within=2.0,
)
def upload_while_cut_off(scene: Scene) -> float:
    """Upload to the following node without its peers, by HTTP and on its command line, and install it later."""
    site, cut_off = scene.site, scene.other
    name, file = new_licence(site, cut_off)
    scene.begin()
    site.network.split(cut_off, f"{scene.leader} {WITNESS}")
    scene.seen(cut_off, stale)
    asked = now()
    answer = site.call(cut_off, "POST", UPLOAD, file)
    measured = now() - asked
    assert (answer.status, bool(answer.headers["Retry-After"])) == (503, True), answer
    path = site.site.folder / f"{name}.licence"
    path.write_bytes(file)
    assert installed_on(scene, cut_off, str(path)) == SPOOLED
    site.network.heal()
    # the virtual IP may have moved meanwhile, and a first licence belongs to its holder
    scene.site.seen(cut_off, now(), lambda reading: fresh(reading) and reading.status["vipState"] == "held")
    assert installed_on(scene, cut_off, "--spooled") == 0
    assert times_installed(site, scene.leader, name) == 1
    return measured


def installed_on(scene: Scene, label: str, what: str) -> int:
    """Run `twinkey license install` on a node's console and return its exit code."""
    site = scene.site
    command = [TWINKEY, "license", "install", "--spool", f"{label}/spool", what]
    environment = {
        "TWINKEY_URL": f"http://127.0.0.1:{PORT}",
        "TWINKEY_TOKEN_FILE": "token",
        "PATH": "/usr/bin:/bin",
    }
    done = scene.node(label).host.process(command, "", site.site.folder, environment)
    assert done.returncode in (0, SPOOLED), json.dumps([done.stdout, done.stderr])
    return done.returncode
