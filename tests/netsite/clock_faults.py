"""Faults of the clocks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.netsite.fault import LEADER, Scene, Table
from tests.netsite.netsite import now
from tests.netsite.node_faults import AT_ONCE

TABLE = Table("Clocks")
DAY = 86_400
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


@TABLE.row(
    "The clock of the node that leads is set forward by more than a year.",
    readers="Both nodes go on answering, and the licence is valid.",
    guarantee="One clock against two others is not believed; measured until a change is published.",
    within=AT_ONCE,
    lost=[LEADER],
)
def clock_set_forward(scene: Scene) -> float:
    """Set the leader's clock forward by 400 days, and plug a key in."""
    with _leader_with_a_clock_to_set(scene) as clock, scene.everybody_answers():
        _set(scene, clock, 400 * DAY, noticed="clock-quarantined")
        scene.begin()
        return scene.seen_by_both(scene.plugged(scene.other))


@TABLE.row(
    "The clock of the node that leads is set back by a day.",
    readers="Both nodes go on answering.",
    guarantee="Effective time does not go back; measured until a change is published.",
    within=AT_ONCE,
    lost=[LEADER],
)
def clock_set_back(scene: Scene) -> float:
    """Set the leader's clock back by a day, plug a key in, and compare the times of the answers."""
    with _leader_with_a_clock_to_set(scene) as clock, scene.everybody_answers():
        before = scene.site.status(scene.other)["asOf"]
        _set(scene, clock, -DAY, noticed="clock-rollback")
        scene.begin()
        measured = scene.seen_by_both(scene.plugged(scene.other))
        assert scene.site.status(scene.other)["asOf"] > before
        return measured


@contextmanager
def _leader_with_a_clock_to_set(scene: Scene) -> Iterator[Path]:
    """Restart both so that the leader leads again, under libfaketime; give the file that holds its clock's error.

    Only the wall clock is set, in seconds: nothing sets the clock that runs since boot. Afterwards the leader, which
    has to be started without it again, is lost.
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
        scene.restart_coordinators()
        yield clock
    finally:
        node.coordinator.environment.clear()
        node.coordinator.kill()


def _set(scene: Scene, clock: Path, error: int, noticed: str) -> None:
    """Set the clock wrong by some seconds; return when the leader's answers have the alert that it is."""
    since = now()
    clock.write_text(f"{error:+}\n", encoding="ascii")
    scene.site.seen(scene.leader, since, lambda reading: reading.fresh and noticed in reading.status["alerts"])
