"""Faults of the clocks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.netsite.fault import LEADER, OTHER, Scene, Shown, Table
from tests.netsite.netsite import now
from tests.netsite.node_faults import AT_ONCE
from tests.site import let_pass

TABLE = Table("Clocks")
DAY = 86_400
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


@TABLE.row(
    "The clock of the node that leads is set forward by more than a year.",
    readers="Both nodes go on answering, and the licence is valid.",
    guarantee="One clock against two others is not believed; measured until a change is published.",
    within=AT_ONCE,
    lost=[LEADER, OTHER],
)
def clock_set_forward(scene: Scene) -> float:
    """Set the leader's clock forward by 400 days, and plug a key in."""
    with _leader_with_a_clock_to_set(scene) as clock:
        clock.write_text(f"+{400 * DAY}\n", encoding="ascii")
        let_pass(1.0)
        scene.begin()
        return scene.seen_by_both(scene.plugged(scene.other))


@TABLE.row(
    "The clock of the node that leads is set back by a day.",
    readers="Both nodes go on answering.",
    guarantee="Effective time does not go back; measured until a change is published.",
    within=AT_ONCE,
    lost=[LEADER, OTHER],
)
def clock_set_back(scene: Scene) -> float:
    """Set the leader's clock back by a day, plug a key in, and compare the times of the answers."""
    with _leader_with_a_clock_to_set(scene) as clock:
        before = scene.site.status(scene.other)["asOf"]
        clock.write_text(f"-{DAY}\n", encoding="ascii")
        let_pass(1.0)
        scene.begin()
        measured = scene.seen_by_both(scene.plugged(scene.other))
        assert scene.site.status(scene.other)["asOf"] > before
        return measured


@contextmanager
def _leader_with_a_clock_to_set(scene: Scene) -> Iterator[Path]:
    """Restart both so that the leader leads again, under libfaketime; give the file that holds its clock's error.

    Only the wall clock is set, in seconds: nothing sets the clock that runs since boot.
    """
    node = scene.node(scene.leader)
    clock = node.folder / "clock-error"
    clock.write_text("+0\n", encoding="ascii")
    environment = {
        "LD_PRELOAD": FAKETIME,
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    assert Path(FAKETIME).exists(), "install the Debian package faketime"
    try:
        node.coordinator.environment.update(environment)
        for label in scene.leader, scene.other:
            lost = scene.node(label).coordinator
            lost.stop()
            lost.start()
            since, leads = now(), scene.site.other(label)
            for each in scene.site.labels:
                scene.site.seen(each, since, _fresh_under(leads))
        yield clock
    finally:
        node.coordinator.environment.clear()
        node.coordinator.kill()


def _fresh_under(leader: str) -> Shown:
    return lambda reading: reading.fresh and reading.status["leader"]["name"] == leader
