"""What the decision makes of nodes that cannot be seen and of keys that are not read yet."""

from __future__ import annotations

import datetime as dt
import itertools

from licensing.canonical import encode
from licensing.ledger import KeyState
from licensing.policy import Policy
from licensing.seen import Visibility
from licensing.status import Alert, Validity
from tests.unit.licensing.sites import (
    DAY,
    HOUR,
    SECOND,
    START,
    Told,
    broken,
    live,
    reading,
    stale,
    unknown,
    works,
)

NOW = dt.timedelta()


def test_a_member_that_never_reported_starts_no_buffer() -> None:
    """While nothing can be known of node b, the key that left node a may be there: the licence stays."""
    site = Told()
    site.sees(NOW, live("a", works("K1")), unknown("b"))
    seen = site.sees(HOUR, live("a"), unknown("b"))
    later = site.sees(40 * DAY, live("a"), unknown("b"))
    assert (seen.status.key_state, seen.status.buffer) == (KeyState.MISSING, None)
    assert (later.status.license.status, later.status.buffer) == (Validity.VALID, None)
    assert "Node b: It has never reported." in later.reasons


def test_the_buffer_of_a_key_that_went_while_blind_is_dated_from_its_going() -> None:
    """As soon as node b can be seen without the key, its removal counts from when it left node a."""
    site = Told()
    site.sees(NOW, live("a", works("K1")), unknown("b"))
    site.sees(HOUR, live("a"), unknown("b"))
    seen = site.sees(10 * DAY, live("a"), live("b"))
    assert seen.status.buffer is not None
    assert seen.status.buffer.expires == START + HOUR + 30 * DAY


def test_an_unknown_node_is_presumed_to_hold_the_key_last_seen_there() -> None:
    """A report that can no longer be decoded does not unplug the key in use."""
    site = Told()
    site.sees(NOW, live("a"), live("b", works("K1")))
    seen = site.sees(HOUR, live("a"), unknown("b"))
    assert seen.status.key_state is KeyState.READY
    assert seen.status.license.status is Validity.VALID
    assert not seen.status.nodes[1].reachable


def test_a_key_seen_elsewhere_is_not_presumed_in_the_unknown_node() -> None:
    """The presumption ends where the key is seen live."""
    site = Told()
    site.sees(NOW, live("a"), live("b", works("K1")))
    seen = site.sees(HOUR, live("a", works("K1")), unknown("b"))
    assert [len(node.ukeys) for node in seen.status.nodes] == [1, 0]


def test_a_removal_does_not_settle_while_a_member_is_unknown() -> None:
    """A key pulled just before a node became unknown may have been put into that node."""
    site = Told()
    site.sees(NOW, live("a", works("K1")), live("b"))
    site.sees(HOUR, live("a"), live("b"))
    seen = site.sees(HOUR + 61 * SECOND, live("a"), unknown("b"))
    assert seen.status.buffer is None
    assert site.sees(2 * HOUR, live("a"), live("b")).status.buffer is not None


def test_a_buffer_that_runs_goes_on_when_a_member_becomes_unknown() -> None:
    """What was settled stays settled."""
    site = Told()
    site.sees(NOW, live("a", works("K1")), live("b"))
    site.sees(HOUR, live("a"), live("b"))
    running = site.sees(2 * HOUR, live("a"), live("b")).status.buffer
    assert running is not None
    assert site.sees(3 * HOUR, live("a"), unknown("b")).status.buffer == running


def test_a_key_being_read_keeps_the_state() -> None:
    """A newly inserted key changes nothing until it is read."""
    site = Told()
    assert site.sees(NOW, live("a", reading("K1")), live("b")).status.key_state is KeyState.NONE
    assert site.sees(SECOND, live("a", works("K1")), live("b")).status.key_state is KeyState.READY
    assert site.sees(HOUR, live("a", works("K1")), live("b", reading("K2"))).status.key_state is KeyState.READY


def test_a_key_not_read_by_its_deadline_is_faulty() -> None:
    """The reading's deadline ends the waiting, by itself."""
    site = Told()
    waiting = site.sees(NOW, live("a", reading("K1", START + 5 * SECOND)), live("b"))
    assert waiting.next_change == START + 5 * SECOND
    over = site.sees(5 * SECOND, live("a", reading("K1", START + 5 * SECOND)), live("b"))
    assert (over.status.key_state, over.status.alerts) == (KeyState.FAULT, (Alert.KEY_FAULT,))


def test_a_removal_does_not_settle_while_a_key_is_being_read() -> None:
    """The key that is being read may be the one that was pulled."""
    site = Told()
    site.sees(NOW, live("a", works("K1")), live("b"))
    site.sees(HOUR, live("a"), live("b"))
    seen = site.sees(HOUR + 61 * SECOND, live("a", reading("K1")), live("b"))
    assert (seen.status.key_state, seen.status.buffer) == (KeyState.MISSING, None)
    back = site.sees(HOUR + 62 * SECOND, live("a", works("K1")), live("b"))
    assert (back.status.key_state, back.ledger.keys[0].last_removal) == (KeyState.READY, None)


def test_a_key_that_was_being_read_when_its_node_died_is_faulty() -> None:
    """Nobody will finish that reading."""
    site = Told()
    assert site.sees(NOW, stale("a", reading("K1")), live("b")).status.key_state is KeyState.FAULT


def test_the_order_of_the_nodes_does_not_matter() -> None:
    """Equal facts in any order give equal answers, byte for byte."""
    views = (live("a", works("K2"), broken("K3")), live("b", works("K1")))
    answers = {encode(Told().sees(NOW, *order).status) for order in itertools.permutations(views)}
    assert len(answers) == 1


def test_without_automatic_synchronisation_a_new_key_is_not_installed() -> None:
    """The key is Normal, and the trial stays in force until somebody synchronises."""
    seen = Told(policy=Policy(auto_synchronize=False)).sees(NOW, live("a", works("K1")), live("b"))
    assert (seen.status.key_state, seen.status.license.source) == (KeyState.READY, "built-in")


def test_a_newer_licence_on_the_key_in_use_is_taken_over() -> None:
    """A key that came back from the vendor carries its next licence."""
    site = Told()
    site.sees(NOW, live("a", works("K1", sequence=1, name="old")), live("b"))
    assert site.sees(HOUR, live("a", works("K1", sequence=2, name="new")), live("b")).status.license.name == "new"
    assert site.sees(2 * HOUR, live("a", works("K1", sequence=1, name="old")), live("b")).status.license.name == "new"


def test_the_held_node_is_shown_as_stale_with_its_keys() -> None:
    """A node that stopped reporting keeps its keys on the page, and says so."""
    site = Told()
    site.sees(NOW, live("a"), live("b", works("K1")))
    node = site.sees(HOUR, live("a"), stale("b", works("K1"))).status.nodes[1]
    assert (node.reachable, node.visibility, len(node.ukeys)) == (False, Visibility.STALE, 1)
    assert "held" in node.problem


def test_deciding_again_changes_nothing() -> None:
    """A decision on its own ledger, at the same moment, is the same decision with nothing new to remember."""
    site = Told()
    views = (live("a", works("K1"), broken("K2")), live("b"))
    first, second = site.sees(NOW, *views), site.sees(NOW, *views)
    assert (first.status, first.ledger) == (second.status, second.ledger)
    assert second.changes == ()


# --- two keys of which none works ---------------------------------------------------------------------------------


def test_two_keys_of_which_none_works_are_said_to_be_so_before_the_buffer_runs() -> None:
    """Abnormal without a key that can be used leaves the licence as it is only until that has settled."""
    site = Told()
    site.sees(NOW, live("a", works("K1")), live("b", works("K2")))
    seen = site.sees(HOUR, live("a", broken("K1")), live("b", broken("K2")))
    assert (seen.status.key_state, seen.status.buffer) == (KeyState.ABNORMAL, None)
    assert "none can be used" in seen.status.key_state_reason
    assert "Replace or repair one" in seen.status.key_state_reason
    assert seen.reasons[1].endswith("then the buffer runs.")
    assert "not affected" not in " ".join(seen.reasons)
    later = site.sees(HOUR + 60 * SECOND, live("a", broken("K1")), live("b", broken("K2")))
    assert later.status.buffer is not None
    assert later.reasons[1] == "A buffer licence stands in for USB key K1."


def test_two_keys_of_which_one_works_do_not_affect_the_licence() -> None:
    """Neither does one that is being read, which may work."""
    site = Told()
    site.sees(NOW, live("a", works("K1")), live("b"))
    for other in (works("K2"), broken("K2")):
        seen = site.sees(HOUR, live("a", works("K1")), live("b", other))
        assert seen.status.key_state_reason == "Both nodes have a USB key. The licence is not affected; remove one key."
        assert seen.reasons[1] == "The licence K1 is valid."
    seen = site.sees(HOUR, live("a", reading("K1")), live("b", broken("K2")))
    assert (seen.status.key_state, seen.reasons[1]) == (KeyState.ABNORMAL, "The licence K1 is valid.")


def test_where_no_key_was_ever_in_use_no_buffer_is_spoken_of() -> None:
    """Two broken keys on a site with its trial put nothing out of service."""
    seen = Told().sees(NOW, live("a", broken("K1")), live("b", broken("K2")))
    assert seen.status.key_state is KeyState.ABNORMAL
    assert "none can be used" in seen.status.key_state_reason
    assert "buffer" not in " ".join(seen.reasons)
