"""Who may hold the virtual IP, row by row."""

from __future__ import annotations

from itertools import product

import pytest

from agent.serving import Peer, Scene, Stance, stance

ME, SMALLER, LARGER = "node-m", "node-a", "node-z"
DRAINED = "this node is drained"
SILENT = "the coordinator of this node does not answer"
OTHER_FIRST = "another node holds the virtual IP too and goes before this one"


def peer(node: str = LARGER, *, vip: bool = False, contested: bool = False, serving: bool = True) -> Peer:
    """Return another node that is well and does not hold the address."""
    return Peer(node, vip, contested, serving)


def scene(
    *peers: Peer,
    vip: bool = True,
    drained: bool = False,
    answers: bool = True,
    connected: bool = True,
    leader: str = "",
) -> Scene:
    """Return what a node sees that is well and holds the address."""
    return Scene(ME, vip, drained, answers, connected, leader, peers)


RIVAL = peer(SMALLER, vip=True, contested=True)
"""One that goes before us where nobody of us leads."""


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        pytest.param(scene(), "", id="alone"),
        pytest.param(scene(peer()), "", id="well"),
        pytest.param(scene(peer(), drained=True), DRAINED, id="drained"),
        pytest.param(scene(peer(), drained=True, vip=False), DRAINED, id="drained-backup"),
        pytest.param(scene(peer(), drained=True, connected=False), DRAINED, id="drained-no-store"),
        pytest.param(scene(drained=True), "", id="drained-alone"),
        pytest.param(scene(peer(serving=False), drained=True), "", id="drained-other-unable"),
        pytest.param(scene(peer(), answers=False), SILENT, id="silent"),
        pytest.param(scene(answers=False), "", id="silent-alone"),
        pytest.param(scene(peer(serving=False), answers=False), "", id="both-silent"),
        pytest.param(scene(peer(), connected=False), "", id="no-store"),
        pytest.param(scene(RIVAL, connected=False), "", id="two-holders-no-store"),
    ],
)
def test_when_the_address_is_given_up(seen: Scene, why: str) -> None:
    """Only where this node is unable and another one is able; never for want of the store."""
    found = stance(seen)
    assert (found.why, found.gives_up) == (why, bool(why))
    assert found.serving is (seen.answers and not seen.drained)


@pytest.mark.parametrize(
    ("leader", "rival", "yields"),
    [
        pytest.param(SMALLER, SMALLER, True, id="smaller-leads"),
        pytest.param(LARGER, LARGER, True, id="larger-leads"),
        pytest.param(ME, SMALLER, False, id="we-lead"),
        pytest.param("", SMALLER, True, id="nobody-leads-larger"),
        pytest.param("", LARGER, False, id="nobody-leads-smaller"),
        pytest.param("a third", SMALLER, True, id="third-leads-larger"),
        pytest.param("a third", LARGER, False, id="third-leads-smaller"),
    ],
)
def test_which_of_two_holders_yields(leader: str, rival: str, yields: bool) -> None:  # noqa: FBT001
    """Who does not lead; where neither does, the one with the larger uuid."""
    found = stance(scene(peer(rival, vip=True, contested=True), leader=leader))
    assert found == Stance(serving=True, contested=True, yielding=yields, why=OTHER_FIRST if yields else "")


@pytest.mark.parametrize("leader", [ME, "node-b", "a third", ""])
def test_exactly_one_of_two_holders_gives_up(leader: str) -> None:
    """From the same facts both come to the same end, so that one holds the address and not none, able or not."""
    states = list(product([True, False], repeat=2))
    for (drained, answers), (their_drained, their_answers) in product(states, states):
        able, their_able = answers and not drained, their_answers and not their_drained
        ours = Scene(ME, True, drained, answers, True, leader, (Peer("node-b", True, True, their_able),))  # noqa: FBT003
        theirs = Scene("node-b", True, their_drained, their_answers, True, leader, (Peer(ME, True, True, able),))  # noqa: FBT003
        assert stance(ours).gives_up is not stance(theirs).gives_up, (ours, theirs)


def test_a_holder_that_may_be_dead_is_not_yielded_to() -> None:
    """Its last report says that it holds the address, but not that it has seen us hold it too."""
    found = stance(scene(peer(SMALLER, vip=True)))
    assert found == Stance(serving=True, contested=True, yielding=False, why="")


@pytest.mark.parametrize(
    ("seen", "goes_on"),
    [
        pytest.param(scene(peer(SMALLER, vip=True), vip=False), True, id="other-holds"),
        pytest.param(scene(peer(LARGER, vip=True), vip=False, leader=ME), True, id="other-holds-we-lead"),
        pytest.param(scene(peer(SMALLER), vip=False), False, id="other-let-go"),
        pytest.param(scene(vip=False), False, id="other-gone"),
        pytest.param(scene(peer(SMALLER, vip=True, serving=False), vip=False), False, id="other-unable"),
        pytest.param(scene(peer(SMALLER, vip=True, serving=False), vip=False, drained=True), True, id="both-unable"),
        pytest.param(scene(peer(SMALLER, vip=True), vip=False, connected=False), False, id="no-store"),
    ],
)
def test_how_long_a_node_yields(seen: Scene, goes_on: bool) -> None:  # noqa: FBT001
    """As long as the other is seen to hold the address and is as able as this one, whoever leads by then."""
    assert stance(seen, yielding=True).yielding is goes_on
    assert not stance(seen).yielding, "none of them is a reason to begin"


def test_never_do_both_nodes_give_up_for_good() -> None:
    """Whatever is wrong with two nodes that see each other, one of them may hold the address."""
    states = list(product([True, False], repeat=3))
    for (drained, answers, vip), (their_drained, their_answers, their_vip) in product(states, states):
        able, their_able = answers and not drained, their_answers and not their_drained
        ours = Scene(ME, vip, drained, answers, True, ME, (Peer(LARGER, their_vip, True, their_able),))  # noqa: FBT003
        theirs = Scene(LARGER, their_vip, their_drained, their_answers, True, ME, (Peer(ME, vip, True, able),))  # noqa: FBT003
        assert not (stance(ours).gives_up and stance(theirs).gives_up), (ours, theirs)
