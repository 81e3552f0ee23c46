"""What a node's disk remembers of its boot, from one start of the coordinator to the next."""

from __future__ import annotations

import datetime as dt
import logging
from pathlib import Path

import pytest

from cluster.values import encode_value
from coordinator.clock import EffectiveClock
from coordinator.time_base import FILE, KeptTime, TimeBase, this_boot
from tests.unit.coordinator.stored import DAY, NOW, SECOND, Hands

AGE = 600 * SECOND


def started(folder: Path, hands: Hands, boot_id: str = "boot 1") -> tuple[KeptTime, EffectiveClock]:
    """Return what a coordinator has that starts now."""
    kept, clock = KeptTime(folder, boot_id), hands.clock()
    kept.wind(clock, AGE)
    return kept, clock


def believed(folder: Path, hands: Hands) -> KeptTime:
    """Let a coordinator read a mark that agrees with its wall clock, and keep that."""
    kept, clock = started(folder, hands)
    clock.saw(hands.at)
    clock.now()
    kept.keep(clock)
    return kept


def test_a_coordinator_that_starts_again_knows_exactly_how_late_it_is(tmp_path: Path) -> None:
    """Hours after the last, in the same boot; a wall clock that leapt meanwhile is found out before etcd is read."""
    hands = Hands()
    believed(tmp_path, hands)
    hands.pass_by(3 * 3600 * SECOND)
    assert started(tmp_path, hands)[1].now() == hands.at
    late, hands.at = hands.at, hands.at + DAY
    clock = started(tmp_path, hands)[1]
    assert (clock.now(), clock.quarantined, clock.booted_since) == (late, True, False)


def test_after_a_boot_the_file_says_nothing(tmp_path: Path) -> None:
    """Nobody knows for how long the machine was off."""
    hands = Hands()
    believed(tmp_path, hands)
    hands.at, hands.up = NOW + DAY, 60.0
    clock = started(tmp_path, hands, "boot 2")[1]
    clock.saw(NOW)
    assert (clock.now(), clock.booted_since, clock.mark_age) == (NOW, True, AGE)


def test_a_wall_clock_that_is_not_believed_is_not_kept(tmp_path: Path) -> None:
    """A file is written only when this boot's wall clock was right once."""
    hands = Hands(NOW + DAY)
    kept, clock = started(tmp_path, hands)
    kept.keep(clock)
    clock.saw(NOW)
    kept.keep(clock)
    assert not (tmp_path / FILE).exists()
    hands.at = NOW
    clock.now()
    kept.keep(clock)
    assert (tmp_path / FILE).exists()


def test_the_file_is_written_when_time_moves_and_else_left_alone(tmp_path: Path) -> None:
    """A disk is not written to once a second."""
    hands = Hands()
    kept = believed(tmp_path, hands)
    file = tmp_path / FILE
    first = file.stat().st_ino
    clock = started(tmp_path, hands)[1]
    hands.pass_by(DAY)
    hands.at += SECOND
    clock.now()
    kept.keep(clock)
    assert file.stat().st_ino == first
    hands.at += SECOND
    clock.now()
    kept.keep(clock)
    assert file.stat().st_ino != first
    assert started(tmp_path, hands)[1].now() == hands.at


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff"], ids=["empty", "other", "binary"])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """It is told, and the next one is written over it."""
    (tmp_path / FILE).write_bytes(content)
    hands = Hands()
    kept = believed(tmp_path, hands)
    assert [record.message for record in caplog.records] == ["time base cannot be read"]
    assert started(tmp_path, hands)[1].fresh is False
    kept.keep(hands.clock())


def test_a_disk_that_cannot_be_written_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is told once, and the file is written as soon as the disk takes it."""
    caplog.set_level(logging.ERROR)
    (tmp_path / "state").write_text("a file where the folder should be")
    hands = Hands()
    kept, clock = KeptTime(tmp_path / "state" / "below", "boot 1"), hands.clock()
    clock.saw(NOW)
    for _ in range(3):
        kept.keep(clock)
    assert [record.message for record in caplog.records] == ["time base not kept on disk"]
    (tmp_path / "state").unlink()
    kept.keep(clock)
    assert (tmp_path / "state" / "below" / FILE).exists()


@pytest.mark.parametrize("year", [1, 9999])
def test_a_file_with_a_time_that_cannot_be_says_nothing(tmp_path: Path, year: int) -> None:
    """Nobody can reckon with it, so it is as good as none, and made anew."""
    began = dt.datetime(year, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
    (tmp_path / FILE).write_bytes(encode_value(TimeBase("boot 1", began)))
    hands = Hands()
    believed(tmp_path, hands)
    assert started(tmp_path, hands)[1].now() == NOW


def test_a_file_that_was_removed_is_written_again(tmp_path: Path) -> None:
    """Though time has not moved."""
    hands = Hands()
    kept = believed(tmp_path, hands)
    (tmp_path / FILE).unlink()
    clock = hands.clock()
    clock.saw(NOW)
    kept.keep(clock)
    assert started(tmp_path, hands)[1].now() == NOW


def test_this_machine_has_a_boot() -> None:
    """The kernel's own id of it, the same as long as it runs."""
    assert len(this_boot()) == 36
    assert this_boot() == this_boot()
