"""The preview of a removal where something cannot be seen or is not read yet."""

from __future__ import annotations

import datetime as dt

import pytest

from licensing.ledger import KeyState, Site
from licensing.policy import Policy
from licensing.preview import NotInserted, RemovalPreview, preview_removal
from licensing.seen import InsertedKey, NodeView, Reading
from licensing.status import Validity
from tests.unit.licensing.sites import DAY, HOUR, SECOND, START, Told, live, reading, stale, unknown, works

NOW = dt.timedelta()


def preview(site: Told, after: dt.timedelta, key_id: str, *views: NodeView) -> RemovalPreview:
    """Return what pulling out a key would bring, some time after the site was founded."""
    return preview_removal(Site("site-1", site.members, START), views, site.ledger, START + after, site.policy, key_id)


def test_while_a_node_is_unknown_a_removal_does_not_count() -> None:
    """The key may have been put in there; the licence stays, and the reason names the node."""
    site, views = Told(), (live("a", works("K1")), unknown("b"))
    site.sees(NOW, *views)
    found = preview(site, HOUR, "K1", *views)
    assert (found.key_state, found.license.status, found.buffer) == (KeyState.MISSING, Validity.VALID, None)
    assert "Nothing is known of node b" in found.reason


def test_a_key_that_is_presumed_in_an_unknown_node_is_not_seen_to_go() -> None:
    """Nothing changes as long as nothing is known of its node."""
    site = Told()
    site.sees(NOW, live("a"), live("b", works("K1")))
    found = preview(site, HOUR, "K1", live("a"), unknown("b"))
    assert (found.key_state, found.buffer) == (KeyState.READY, None)
    assert found.reason.endswith("does not report (b): nothing changes before it reports again.")


def test_the_keys_of_a_node_that_does_not_report_are_not_seen_to_go() -> None:
    """Its last report is held for a day, whatever is done to its keys."""
    site = Told()
    site.sees(NOW, live("a"), live("b", works("K1")))
    site.sees(HOUR, live("a"), stale("b", works("K1")))
    found = preview(site, 2 * HOUR, "K1", live("a"), stale("b", works("K1")))
    assert (found.key_state, found.license.status, found.buffer) == (KeyState.READY, Validity.VALID, None)
    assert found.reason.endswith("before it reports again, at the latest on 2026-02-02 01:00 UTC.")


def test_a_key_whose_node_was_given_up_is_not_inserted() -> None:
    """What counts as removed cannot be removed again."""
    site = Told()
    site.sees(NOW, live("a"), live("b", works("K1")))
    site.sees(HOUR, live("a"), stale("b", works("K1")))
    with pytest.raises(NotInserted):
        preview(site, HOUR + DAY, "K1", live("a"), stale("b", works("K1")))


def test_a_key_that_moved_from_a_silent_node_is_seen_to_go() -> None:
    """The old report of the silent node does not bring it back."""
    site = Told()
    site.sees(NOW, live("a"), live("b", works("K1")))
    views = (live("a", works("K1")), stale("b", works("K1")))
    site.sees(HOUR, *views)
    found = preview(site, HOUR, "K1", *views)
    assert (found.key_state, found.days_left) == (KeyState.MISSING, 30)


def test_while_another_key_is_read_a_removal_does_not_count() -> None:
    """The key that is being read may be the one that was pulled."""
    site = Told()
    site.sees(NOW, live("a", works("K1")), live("b"))
    found = preview(site, HOUR, "K1", live("a", works("K1")), live("b", reading("K2")))
    assert (found.license.status, found.buffer) == (Validity.VALID, None)
    assert "USB key K2 is being read" in found.reason


def test_all_keys_that_claim_one_identity_are_pulled() -> None:
    """Two keys of one id in one node go together."""
    twins = [InsertedKey("K1", Reading.DUPLICATE, "2 keys claim it")] * 2
    views = (live("a", *twins), live("b"))
    assert preview(Told(), NOW, "K1", *views).key_state is KeyState.NONE


def test_facts_that_are_older_than_now_are_decided_on_first() -> None:
    """A removal of which the ledger does not know yet comes before the one that is asked about."""
    site = Told()
    site.sees(NOW, live("a", works("K1")), live("b", works("K2")))
    found = preview(site, HOUR, "K2", live("a"), live("b", works("K2")))
    assert (found.license.name, found.days_left) == ("K2", 30)


@pytest.mark.parametrize("settle", [0, 600], ids=str)
def test_the_sites_own_settling_time_counts(settle: int) -> None:
    """The preview looks as far ahead as the site lets a removal settle."""
    site = Told(policy=Policy(removal_settle=settle * SECOND))
    views = (live("a", works("K1")), live("b"))
    site.sees(NOW, *views)
    found = preview(site, HOUR, "K1", *views)
    assert (found.settled - found.at, found.days_left) == (settle * SECOND, 30)


def test_asking_changes_nothing() -> None:
    """The ledger stays as it is, and asking twice gives the same answer."""
    site, views = Told(), (live("a", works("K1")), live("b"))
    site.sees(NOW, *views)
    before = site.ledger
    assert preview(site, HOUR, "K1", *views) == preview(site, HOUR, "K1", *views)
    assert site.ledger == before
