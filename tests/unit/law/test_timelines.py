"""Named timelines, values by hand: what state the key is in, and whose licence is in force."""

from __future__ import annotations

import pytest

from tests.unit.law.playing import KEYS, after, licence, told

# Keys inserted on node a and on node b, then the state; K1 is in use before the others come, unless there is none.
DUAL = [
    (0, 0, "None"),
    (1, 0, "Ready"),
    (0, 1, "Ready"),
    (1, 1, "Abnormal"),
    (1, 2, "Abnormal"),
    (2, 1, "Abnormal"),
    (1, 3, "Abnormal"),
    (3, 1, "Abnormal"),
    (2, 0, "Fault"),
    (0, 2, "Fault"),
    (3, 0, "Fault"),
    (0, 3, "Fault"),
    (2, 2, "Fault"),
    (2, 3, "Fault"),
    (3, 2, "Fault"),
    (3, 3, "Fault"),
]
SINGLE = [(0, "None"), (1, "Ready"), (2, "Fault"), (3, "Fault")]


def plugs(node: str, keys: list[str], when: str = "1d") -> list[str]:
    """Plug several keys into a node."""
    return [f"{when} plug {node} {key}" for key in keys]


def names(prefix: str, count: int) -> list[str]:
    """Name some keys."""
    return [f"{prefix}{number}" for number in range(count)]


@pytest.mark.parametrize(("on_a", "on_b", "state"), DUAL)
@pytest.mark.parametrize("unreadable", [set(), {"a"}, {"b"}, {"a", "b"}])
def test_the_state_follows_the_number_of_keys(on_a: int, on_b: int, state: str, unreadable: set[str]) -> None:
    """Keys count, readable or not; only a lone key must also work to be Normal."""
    papers = [licence(key, key) for key in names("A", on_a) + names("B", on_b) if key[0].lower() not in unreadable]
    line = after(*plugs("a", names("A", on_a)), *plugs("b", names("B", on_b)), "2d observe", licences=papers)
    lone_and_dead = state == "Ready" and ("a" if on_a else "b") in unreadable
    assert line["keyState"] == ("Fault" if lone_and_dead else state)


@pytest.mark.parametrize(("count", "state"), SINGLE)
@pytest.mark.parametrize("readable", [True, False])
def test_the_state_of_a_single_node_site(count: int, state: str, readable: bool) -> None:  # noqa: FBT001
    """One node: none, one or several keys."""
    papers = [licence(key, key) for key in names("A", count) if readable]
    line = after(*plugs("a", names("A", count)), "2d observe", licences=papers, nodes="a")
    assert line["keyState"] == ("Fault" if count == 1 and not readable else state)


@pytest.mark.parametrize("nodes", ["a", "ab"])
def test_no_key_after_a_key_was_in_use_is_removed(nodes: str) -> None:
    """Zero keys means Removed only where a key was in use."""
    assert told(after("1d plug a K1", "2d unplug a K1", nodes=nodes)) == "Missing, K1 Valid"
    assert told(after("1d plug a X", "2d unplug a X", nodes=nodes)) == "None, Basic Edition - Trial Valid"


def test_a_lone_key_that_breaks_is_a_fault_and_counts_as_inserted() -> None:
    """Normal requires a key that functions."""
    assert told(after("1d plug a K1", "2d break K1")) == "Fault, K1 Valid"
    assert told(after("1d plug a K1", "2d break K1", "3d repair K1")) == "Ready, K1 Valid"
    assert told(after("1d plug a K1", "2d break K1", "2d plug b K2")) == "Abnormal, K2 Valid"


def test_a_fault_runs_the_buffer_and_ends_the_licence_with_it() -> None:
    """In Fault the buffer applies; once it is over the licence cannot be used."""
    fault = ("1d plug a K1", "2d plug a K2")
    assert told(after(*fault, "2d+60s observe")) == "Fault, K1 Valid, buffer 32d"
    assert told(after(*fault, "32d-1s observe")) == "Fault, K1 Valid, buffer 32d"
    over = after(*fault, "32d observe")
    assert told(over) == "Fault, K1 Expired, buffer 32d"
    assert over["restricted"]
    assert over["startAllowed"]


def test_abnormal_keeps_the_licence_of_the_key_in_use() -> None:
    """A second key on the other node changes nothing, however new its licence and however long it stays."""
    assert told(after("1d plug a K1", "2d plug b K3")) == "Abnormal, K1 Valid"
    assert told(after("1d plug a K1", "2d plug b K3", "2d plug b K2", "200d observe")) == "Abnormal, K1 Valid"


def test_abnormal_does_not_flap_back() -> None:
    """A key that took over keeps the licence when the former one works again."""
    broken = ("1d plug a K1", "2d plug b K2", "3d break K1")
    assert told(after(*broken)) == "Abnormal, K2 Valid"
    assert told(after(*broken, "4d repair K1", "50d observe")) == "Abnormal, K2 Valid"


def test_the_newest_issue_date_takes_over_then_the_lowest_key() -> None:
    """When the key in use fails, the newest licence takes over; among equals the lowest key identity."""
    broken = ("1d plug a K1", "1d plug b K3", "1d plug b K2", "2d break K1")
    assert told(after(*broken)) == "Abnormal, K3 Valid"
    equals = [licence(key, key) for key in ("K1", "K2", "K3")]
    assert told(after(*broken, licences=equals)) == "Abnormal, K2 Valid"


def test_a_key_whose_licence_expires_in_abnormal_is_relieved_at_that_instant() -> None:
    """The other key takes over at the expiry, not at the next event, and keeps the licence."""
    papers = [licence("K1", "K1", expires="20d"), licence("K2", "K2")]
    both = ("1d plug a K1", "2d plug b K2")
    assert told(after(*both, "20d-1s observe", licences=papers)) == "Abnormal, K1 Valid"
    assert told(after(*both, "20d observe", licences=papers)) == "Abnormal, K2 Valid"
    late = after(*both, "25d unplug b K2", "25d+60s observe", licences=papers)
    assert told(late) == "Ready, K2 Valid, buffer 55d"


def test_abnormal_without_a_working_key_runs_the_buffer() -> None:
    """Two keys that nobody can read are Abnormal, with the buffer of the key that was in use."""
    dead = ("1d plug a K1", "1d plug b X", "2d break K1")
    assert told(after(*dead)) == "Abnormal, K1 Valid"
    assert told(after(*dead, "2d+60s observe")) == "Abnormal, K1 Valid, buffer 32d"
    assert told(after(*dead, "32d observe")) == "Abnormal, K1 Expired, buffer 32d"


def test_the_same_key_on_both_nodes_is_suspected_to_be_a_clone() -> None:
    """A clone is Abnormal with an alert of its own; the licence stays."""
    line = after("1d plug a K1", "2d plug b K1")
    assert told(line) == "Abnormal, K1 Valid"
    assert set(line["alerts"]) == {"key-abnormal", "clone-suspected"}
    assert after("1d plug a K1", "2d plug b K1", "3d unplug a K1")["alerts"] == []


@pytest.mark.parametrize(("wait", "buffer"), [("59s", ""), ("60s", ", buffer 32d"), ("61s", ", buffer 32d")])
@pytest.mark.parametrize("deed", ["unplug a K1", "break K1", "plug a K2"])
def test_a_removal_has_its_consequence_after_sixty_seconds(deed: str, wait: str, buffer: str) -> None:
    """The state shows at once; the buffer starts when Removed or Fault has lasted, dated from its beginning."""
    state = "Missing" if deed.startswith("unplug") else "Fault"
    assert told(after("1d plug a K1", f"2d {deed}")) == f"{state}, K1 Valid"
    assert told(after("1d plug a K1", f"2d {deed}", f"2d+{wait} observe")) == f"{state}, K1 Valid{buffer}"


def test_a_key_put_back_within_the_settling_time_was_never_removed() -> None:
    """A pull of 59 seconds leaves no trace in the history: the next one is the first."""
    pulls = ("1d plug a K1", "2d unplug a K1", "2d+59s plug a K1", "40d unplug a K1", "40d+60s observe")
    assert told(after(*pulls)) == "Missing, K1 Valid, buffer 70d"


def test_removed_and_fault_in_a_row_are_one_event() -> None:
    """The settling time and the buffer count from the first of them."""
    turn = ("1d plug a K1", "2d break K1", "2d+40s unplug a K1")
    assert told(after(*turn, "2d+60s observe")) == "Missing, K1 Valid, buffer 32d"
    assert told(after(*turn, "10d plug a K1", "11d observe")) == "Fault, K1 Valid, buffer 32d"


def test_a_lost_node_holds_its_keys_for_a_day() -> None:
    """The last report of a node that is down is held for 24 hours; then the buffer counts from the loss."""
    lost = ("1d plug a K1", "2d down a")
    assert told(after(*lost, "3d-1s observe")) == "Ready, K1 Valid"
    assert told(after(*lost, "3d observe")) == "Missing, K1 Valid, buffer 32d"
    assert told(after(*lost, "3d-1s up a", "10d observe")) == "Ready, K1 Valid"
    assert told(after(*lost, "10d up a")) == "Ready, K1 Valid"


def test_what_happens_on_a_lost_node_is_unseen_until_it_is_back() -> None:
    """A key pulled from a lost node is a removal from the moment that it can be seen."""
    lost = ("1d plug a K1", "2d down a", "2d+1h unplug a K1")
    assert told(after(*lost, "2d+2h observe")) == "Ready, K1 Valid"
    assert told(after(*lost, "2d+12h up a", "3d observe")) == "Missing, K1 Valid, buffer 32d+43200s"


def test_a_key_moved_off_a_lost_node_is_no_clone() -> None:
    """A key seen live on one node is dropped from the other node's held report, and does not come back to it."""
    moved = ("1d plug a K1", "2d down a", "2d+1h plug b K1")
    assert after(*moved)["alerts"] == []
    assert told(after(*moved)) == "Ready, K1 Valid"
    assert told(after(*moved, "2d+2h unplug b K1")) == "Missing, K1 Valid"


def test_a_held_key_and_a_live_one_are_abnormal() -> None:
    """Held keys count; when the hold ends the live key alone is Normal and takes over."""
    lost = ("1d plug a K1", "2d down a", "2d+1h plug b K2")
    assert told(after(*lost)) == "Abnormal, K1 Valid"
    assert told(after(*lost, "3d observe")) == "Ready, K2 Valid"


def test_a_site_that_was_wholly_off_loses_nothing() -> None:
    """With every node down nothing is decided; the hold starts when a node that is up can miss the other."""
    dark = ("1d plug b K1", "2d down a", "2d down b")
    assert told(after(*dark, "20d observe")) == "Ready, K1 Valid"
    assert told(after(*dark, "20d up a", "21d-1s observe")) == "Ready, K1 Valid"
    assert told(after(*dark, "20d up a", "21d observe")) == "Missing, K1 Valid, buffer 50d"
    assert told(after(*dark, "20d up a", "20d+1h up b", "30d observe")) == "Ready, K1 Valid"
    one_after_the_other = ("1d plug b K1", "2d down b", "2d+1h down a", "20d up a")
    assert told(after(*one_after_the_other)) == "Ready, K1 Valid"
    assert told(after(*one_after_the_other, "20d+23h-1s observe")) == "Ready, K1 Valid"
    assert told(after(*one_after_the_other, "20d+23h observe")) == "Missing, K1 Valid, buffer 49d+82800s"


def test_a_single_node_that_was_off_sees_a_removal_when_it_is_back() -> None:
    """A key pulled from the only node, while it was off, is removed from the moment that it is up."""
    dark = ("1d plug a K1", "2d down a", "3d unplug a K1")
    assert told(after(*dark, "20d observe", nodes="a")) == "Ready, K1 Valid"
    assert told(after(*dark, "20d up a", "20d+60s observe", nodes="a")) == "Missing, K1 Valid, buffer 50d"


def test_expiry_shows_though_nobody_decides() -> None:
    """A licence and a buffer run out on a site that is wholly off too."""
    papers = [licence("K1", "K1", expires="20d")]
    assert told(after("1d plug a K1", "2d down a", "20d observe", licences=papers, nodes="a")) == "Ready, K1 Expired"
    pulled = ("1d plug a K1", "2d unplug a K1", "3d down a", "32d observe")
    assert told(after(*pulled, nodes="a")) == "Missing, K1 Expired, buffer 32d"


def test_the_key_never_touches_a_request_key_licence() -> None:
    """Keys that nobody can read, alone or in number, leave it in force without a buffer."""
    papers = [*KEYS, licence("R1")]
    faulty = ("1d install R1", "2d plug a X", "3d plug a Y", "4d observe")
    assert told(after(*faulty, licences=papers)) == "Fault, R1 Valid"
    assert told(after("1d plug a X", "9d observe")) == "Fault, Basic Edition - Trial Valid"
