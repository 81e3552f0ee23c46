"""A coordinator with a mistake planted in it leaves a history in which the checks find the mistake."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.netsite.history import faults_of
from tests.netsite.netsite import NetSite
from tests.netsite.story import ACTS, Act, play
from tests.site import LEASE_OVER, SETTLE, let_pass, started
from tests.waiting import eventually_sync

ROOT = Path(__file__).parents[3]


@contextmanager
def site_with(mistake: str, folder: Path) -> Iterator[NetSite]:
    """Run a site whose coordinators have a mistake planted in them."""
    site = NetSite(folder, (sys.executable, "-m", "tests.netsite.planted", mistake))
    for node in site.nodes.values():
        node.coordinator.environment["PYTHONPATH"] = str(ROOT)
    with started(site):
        yield site


def found_by(mistake: str, folder: Path, seconds: float, acts: Mapping[str, Act]) -> dict[str, list[str]]:
    """Return what the checks find in a story of these acts, by the name of the check."""
    with site_with(mistake, folder) as site:
        return faults_of(play(site, 1, seconds, acts))


def only(name: str) -> dict[str, Act]:
    """Return one act alone."""
    return {name: ACTS[name]}


def freeze_past_the_lease(site: NetSite, label: str) -> None:
    """Freeze the leader just when there is something to publish, until another one leads, and let it go on."""
    leader = site.nodes[eventually_sync(site.leader)].coordinator
    site.plug(label, site.new_key())
    let_pass(0.1)
    leader.freeze()
    let_pass(LEASE_OVER)
    leader.thaw()


def pull_the_key_twice(site: NetSite, _label: str) -> None:
    """Pull the only key out and put it back, twice, each time for so long that it counts as a removal."""
    for _ in range(2):
        site.unplug("a", site.base)
        site.wait_for("b", lambda status: status["keyState"] == "Missing", 5.0)
        let_pass(10 * SETTLE)
        site.plug("a", site.base)
        site.wait_for("b", lambda status: status["keyState"] == "Ready", 5.0)


def test_a_publication_without_a_fence_is_found(tmp_path: Path) -> None:
    """Where a leader that wakes up publishes with no fence, the history shows that a deposed leader published."""
    acts = {"freeze the leader past its lease": freeze_past_the_lease}
    assert "publications_rise" in found_by("publish-without-a-fence", tmp_path, 10, acts)


def test_an_upload_that_is_answered_before_it_is_stored_is_found(tmp_path: Path) -> None:
    """Where uploads are answered in advance and the coordinator is killed, the history shows that some are lost."""
    assert "uploads_are_kept" in found_by("answer-before-it-is-stored", tmp_path, 8, only("kill coordinator"))


def test_a_board_that_goes_back_is_found(tmp_path: Path) -> None:
    """Where a board shows an old answer again, the readers have seen it, without any other fault."""
    assert "readers_go_forward" in found_by("show-an-old-answer-now-and-then", tmp_path, 4, only("kill keepalived"))


def test_a_buffer_that_is_granted_anew_too_soon_is_found(tmp_path: Path) -> None:
    """Where a second removal grants another buffer, the history shows it, by the rules' words and by the law's own."""
    acts = {"pull the key twice": pull_the_key_twice}
    found = found_by("grant-sixty-days-each-time", tmp_path, 1, acts)  # the act is played once, on a site at rest
    assert list(found) == ["removals_grant_what_the_law_says", "decisions_follow_from_the_reports"]
