"""What a coordinator makes of the clocks that it knows of, and what it tells of those that are wrong."""

from __future__ import annotations

import datetime as dt

import pytest

from coordinator.clock import EffectiveClock
from coordinator.clocks import BEHIND, IN_DOUBT, KEEP, Clocks, amount_of
from licensing.seen import NodeView, Visibility
from licensing.status import Alert
from licensing.value import Time
from tests.unit.coordinator.stored import DAY, NOW, SECOND, A, B, Hands

SESSION = 1.0
YEAR = 365 * DAY


class Rig:
    """Node a's clocks by hand: what has passed since both nodes were right."""

    def __init__(self, *, site_size: int = 2, fresh: bool = False, up: dt.timedelta = 60 * SECOND) -> None:
        self.hands = Hands()
        self.hands.up = up.total_seconds()
        self.clock = EffectiveClock(self.hands.wall, self.hands.boot, fresh=fresh)
        self.clocks = Clocks(self.clock, A, "Node A", site_size)
        self.clock.saw(NOW)

    def reports(self, at: Time | None, session: float | None = SESSION, seen: Visibility = Visibility.LIVE) -> None:
        """Show both nodes' reports; node b's was written at `at` by its clock."""
        mine = NodeView(A, "Node A", Visibility.LIVE, reported_at=NOW + 9 * YEAR)
        self.clocks.heard((mine, NodeView(B, "Node B", seen, reported_at=at)), session)

    @property
    def told(self) -> list[tuple[Alert, str]]:
        """The alerts that are told, with the node in the sentence."""
        return [(each.alert, each.sentence.split()[5]) for each in self.clocks.notices]

    def judged(self) -> Time:
        """Judge, and return effective time."""
        self.clocks.judge()
        return self.clock.now()


def test_a_year_ahead_is_not_believed_and_told() -> None:
    """Time goes on at its own pace, and the site hears which node's clock is wrong by how much."""
    rig = Rig()
    rig.reports(NOW)
    rig.hands.at += YEAR
    rig.hands.pass_by(60 * SECOND)
    assert rig.judged() == NOW + 60 * SECOND
    (notice,) = rig.clocks.notices
    assert notice.alert is Alert.CLOCK_QUARANTINED
    assert notice.sentence.startswith("The clock of node Node A is ahead by about 365 days.")
    assert rig.clocks.own_notices == (notice,)


def test_a_report_that_comes_now_has_a_vote() -> None:
    """When the other node's clock says the same, it is really that late, and nothing is told any more."""
    rig = Rig()
    rig.reports(NOW)
    rig.hands.at += YEAR
    assert rig.judged() == NOW
    rig.reports(NOW + YEAR + SECOND)
    assert rig.judged() == NOW + YEAR
    assert rig.told == []


def test_a_report_goes_on_from_when_it_came() -> None:
    """The other clock runs meanwhile: what it said an hour ago agrees with an own clock an hour later."""
    rig = Rig()
    rig.reports(NOW)
    rig.reports(NOW + DAY)
    assert (rig.judged(), rig.told) == (NOW, [(Alert.CLOCK_QUARANTINED, "B")])
    rig.hands.pass_by(3600 * SECOND)
    rig.hands.at += DAY
    assert rig.judged() == NOW + DAY + 3600 * SECOND


def test_the_report_of_a_node_that_is_gone_says_nothing() -> None:
    """Only a live report has a vote or is complained of, and never a node's own."""
    rig = Rig()
    rig.hands.at += YEAR
    rig.reports(NOW + YEAR, seen=Visibility.STALE)
    assert rig.judged() == NOW
    assert [each.sentence[:24] for each in rig.clocks.notices] == ["The clock of node Node A"]
    rig.reports(None)
    assert rig.judged() == NOW


def test_a_held_report_is_not_taken_for_a_clock_that_is_behind() -> None:
    """What was there before we looked may be of long ago; what comes while we watch was written now."""
    rig = Rig()
    rig.reports(NOW - DAY)
    assert (rig.judged(), rig.told, rig.clocks.wrong) == (NOW, [], False)
    rig.reports(NOW - DAY + SECOND, session=SESSION + 1)  # the store was away meanwhile
    assert rig.told == []
    rig.reports(NOW - DAY + 2 * SECOND, session=SESSION + 1)
    assert [each.alert for each in rig.clocks.notices] == [Alert.CLOCK_ROLLBACK]
    assert "Node B is behind the site's time by about 23 hours" in rig.clocks.notices[0].sentence
    assert rig.clocks.wrong


def test_a_report_from_the_future_is_wrong_whenever_it_was_written() -> None:
    """A held report may be old, so its clock is ahead all the more."""
    rig = Rig()
    rig.reports(NOW + YEAR, session=None)
    assert [each.alert for each in rig.clocks.notices] == [Alert.CLOCK_QUARANTINED]
    assert "Node B" in rig.clocks.notices[0].sentence


@pytest.mark.parametrize(("ahead", "told"), [(300, False), (301, True), (-300, False), (-301, True)], ids=str)
def test_another_nodes_clock_is_told_beyond_the_threshold(ahead: int, told: object) -> None:
    """Small differences between two nodes are nobody's business."""
    rig = Rig()
    rig.reports(NOW)
    rig.reports(NOW + ahead * SECOND)
    rig.clocks.judge()
    assert bool(rig.clocks.notices) is told


def test_a_clock_that_was_set_back_is_told() -> None:
    """Time is held up; the sentence names the node and by how much, and where to read on."""
    rig = Rig()
    rig.hands.at -= BEHIND
    assert (rig.judged(), rig.clocks.notices) == (NOW, ())
    rig.hands.at -= 2 * DAY
    assert rig.judged() == NOW
    (notice,) = rig.clocks.notices
    assert notice.alert is Alert.CLOCK_ROLLBACK
    assert notice.sentence.startswith("The clock of node Node A is behind the site's time by about 2 days.")
    assert "docs/time.md" in notice.sentence


def test_what_is_told_does_not_flicker() -> None:
    """A clock right at a limit, or between two figures, is no news with every look."""
    rig = Rig()
    rig.hands.at -= BEHIND + SECOND
    told = rig.clocks.notices
    assert told
    for jitter in (-1.0, 1.0, -0.3, 0.9, 0.0):
        rig.hands.at = NOW - BEHIND - SECOND + jitter * SECOND
        assert rig.clocks.notices == told
    rig.hands.at = NOW - BEHIND + 2 * SECOND
    assert rig.clocks.notices == ()
    rig.hands.at = NOW - DAY
    assert rig.clocks.notices != told


def test_the_members_have_a_vote_for_as_long_as_they_are_fresh() -> None:
    """An answer of a member confirms the own clock; one of long ago does not."""
    rig = Rig()
    rig.hands.at += YEAR
    rig.clocks.asked({"10.0.0.3": NOW + YEAR})
    rig.hands.pass_by((KEEP + 1) * SECOND)
    assert rig.judged() == NOW + (KEEP + 1) * SECOND
    rig.clocks.asked({"10.0.0.3": rig.hands.at})
    assert rig.judged() == rig.hands.at


def test_two_other_machines_put_a_node_right_that_lost_its_clock() -> None:
    """A leader whose own clock is dead does not go on as if a month had not passed."""
    rig = Rig()
    rig.hands.at = NOW - 20 * YEAR
    rig.clocks.asked({"10.0.0.2": NOW + 30 * DAY, "10.0.0.3": NOW + 30 * DAY})
    assert rig.judged() == NOW + 30 * DAY
    assert [each.alert for each in rig.clocks.notices] == [Alert.CLOCK_ROLLBACK]


def test_a_leap_before_any_mark_was_read_decides_nothing() -> None:
    """Judged on its own word alone, a clock is not believed in advance of what etcd will say."""
    hands = Hands()
    clock = hands.clock()
    clocks = Clocks(clock, A, "Node A", 2)
    clocks.judge()
    hands.at += YEAR
    clocks.judge()
    assert clock.first_mark is None
    clock.saw(NOW)
    clocks.judge()
    assert (clock.now(), clock.quarantined) == (NOW, True)


def test_a_mark_that_is_wrong_itself_is_kept_and_told() -> None:
    """Time does not go back, also when all clocks agree that it is wrong: people repair that."""
    rig = Rig()
    rig.clock.saw(NOW + YEAR)
    rig.reports(NOW)
    rig.reports(NOW + SECOND)
    rig.clocks.asked({"10.0.0.2": NOW, "10.0.0.3": NOW})
    assert rig.judged() == NOW + YEAR
    assert [each.alert for each in rig.clocks.notices] == [Alert.CLOCK_ROLLBACK] * 2


def test_a_single_node_that_was_off_believes_its_clock() -> None:
    """With nobody to ask, a machine that was switched on since the mark was written is believed, once."""
    rig = Rig(site_size=1, fresh=True)
    rig.hands.at += 30 * DAY
    assert rig.judged() == NOW + 30 * DAY
    rig.hands.at += YEAR
    assert rig.judged() == NOW + 30 * DAY


def test_a_single_node_whose_clock_comes_late_believes_it_then() -> None:
    """A machine without a battery starts with a clock far behind; what NTP sets later in that boot is believed."""
    rig = Rig(site_size=1, fresh=True)
    rig.hands.at -= 10 * YEAR
    assert rig.judged() == NOW
    rig.hands.at = NOW + 30 * DAY
    assert rig.judged() == NOW + 30 * DAY


@pytest.mark.parametrize("why", ["running", "up-longer", "two-nodes", "witness"])
def test_a_leap_that_no_boot_explains_is_quarantined(why: str) -> None:
    """Not believed: a clock that leapt while the machine ran, or where others can be asked."""
    up = 31 * DAY if why == "up-longer" else 60 * SECOND
    rig = Rig(site_size=2 if why == "two-nodes" else 1, fresh=why != "running", up=up)
    rig.clocks.asks = why == "witness"
    rig.hands.at += 30 * DAY
    assert rig.judged() == NOW
    assert rig.clock.quarantined


def test_a_decision_is_put_off_for_a_moment_while_the_members_are_asked() -> None:
    """Only where they can be asked, only while the own clock is ahead, and never for long."""
    rig = Rig()
    rig.clocks.asks = True
    rig.hands.at += YEAR
    rig.clocks.judge()
    assert (rig.clocks.in_doubt, rig.clocks.to_ask) == (True, True)
    rig.hands.pass_by((IN_DOUBT + 0.1) * SECOND)
    rig.clocks.judge()
    assert (rig.clocks.in_doubt, rig.clocks.to_ask) == (False, True)
    rig.clocks.asked({})
    assert (rig.clocks.in_doubt, rig.clocks.to_ask, rig.clocks.wrong) == (False, False, True)
    lonely = Rig()
    lonely.hands.at += YEAR
    lonely.clocks.judge()
    assert (lonely.clocks.in_doubt, lonely.clocks.to_ask) == (False, False)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (11, "11 seconds"),
        (119.9, "119 seconds"),
        (120, "2 minutes"),
        (7199, "119 minutes"),
        (7200, "2 hours"),
        (172_799, "47 hours"),
        (172_800, "2 days"),
    ],
    ids=str,
)
def test_an_amount_is_one_figure(seconds: float, text: str) -> None:
    """People read how far a clock is off at a glance."""
    assert amount_of(dt.timedelta(seconds=seconds)) == text
