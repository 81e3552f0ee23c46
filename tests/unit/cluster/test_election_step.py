"""The rule of the election, row by row."""

from __future__ import annotations

from functools import partial

import pytest

from cluster.election_step import Action, Aside, Campaign, Lead, Observation, Own, StepDown, Wait, step
from cluster.store import Entry

KEY = "/s/leader"
OURS = Entry(KEY, b"", create_revision=7, mod_revision=7, lease_id=1)
THEIRS = Entry(KEY, b"", create_revision=9, mod_revision=9, lease_id=2)
LEASELESS = Entry(KEY, b"", create_revision=9, mod_revision=9)

seen = partial(Observation, True)  # noqa: FBT003 - the mirror is up to date
blind = partial(Observation, False)  # noqa: FBT003 - the store is out of reach

NOW = 100.0
TRUSTED, OVER = Own(7, NOW + 0.001), Own(7, NOW)
WAS_SEEN = Own(7, NOW + 0.001, was_seen=True)


@pytest.mark.parametrize(
    ("observed", "own", "action"),
    [
        (seen(9, None), None, Campaign()),
        (blind(9, None), None, Wait("the store is out of reach")),
        (seen(9, THEIRS), None, Wait("another node leads", ready=True)),
        (blind(9, THEIRS), None, Wait("the store is out of reach")),
        (seen(7, OURS), TRUSTED, Lead()),
        (blind(7, OURS), TRUSTED, Lead()),
        (seen(6, None), TRUSTED, Lead()),
        (seen(6, THEIRS), TRUSTED, Lead()),
        (seen(7, OURS), WAS_SEEN, Lead()),
        (seen(6, None), WAS_SEEN, StepDown("the store was put back to an old copy")),
        (seen(6, THEIRS), WAS_SEEN, StepDown("the store was put back to an old copy")),
        (seen(8, None), TRUSTED, StepDown("the leader key is gone")),
        (seen(9, THEIRS), TRUSTED, StepDown("another node was elected")),
        (seen(7, OURS), OVER, StepDown("the lease ran out")),
        (seen(6, None), OVER, StepDown("the lease ran out")),
        (blind(7, OURS), OVER, StepDown("the lease ran out")),
    ],
)
def test_each_row_of_the_rule(observed: Observation, own: Own | None, action: Action) -> None:
    """What is seen, what we are, what we do."""
    assert step(observed, own, NOW) == action


WAITS, NEEDED = Aside("serviced", NOW + 0.001), Aside("serviced", NOW)
RESERVE, RESERVE_OVER = Own(7, NOW + 0.001, as_reserve=True), Own(7, NOW, as_reserve=True)


@pytest.mark.parametrize(
    ("observed", "own", "aside", "action"),
    [
        (seen(7, OURS), TRUSTED, WAITS, StepDown("stands aside: serviced")),
        (blind(7, OURS), TRUSTED, WAITS, StepDown("stands aside: serviced")),
        (seen(6, None), TRUSTED, WAITS, StepDown("stands aside: serviced")),
        (seen(7, OURS), OVER, WAITS, StepDown("the lease ran out")),
        (seen(9, None), None, WAITS, Wait("stands aside: serviced")),
        (seen(9, None), None, NEEDED, Campaign()),
        (blind(9, None), None, NEEDED, Wait("the store is out of reach")),
        (seen(9, THEIRS), None, NEEDED, Wait("another node leads")),
        (seen(7, OURS), RESERVE, WAITS, Lead()),
        (seen(7, OURS), RESERVE, None, Lead()),
        (seen(8, None), RESERVE, WAITS, StepDown("the leader key is gone")),
        (seen(7, OURS), RESERVE_OVER, NEEDED, StepDown("the lease ran out")),
    ],
)
def test_each_row_of_standing_aside(
    observed: Observation, own: Own | None, aside: Aside | None, action: Action
) -> None:
    """Who stands aside neither leads nor campaigns, until nobody has led for long; then it leads on."""
    assert step(observed, own, NOW, aside) == action


def test_a_leader_key_without_a_lease_is_pointed_out() -> None:
    """Such a key would block the election for ever, so an operator is told what to delete."""
    action = step(seen(9, LEASELESS), None, NOW)
    assert isinstance(action, Wait)
    assert action.why == f"{KEY} was written without a lease and would stay for ever: delete it"
