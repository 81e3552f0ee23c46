"""Pauses between attempts: short where another member may help, longer where none does."""

from __future__ import annotations

from cluster.etcd_members import Backoff


def test_every_member_is_tried_before_the_first_pause() -> None:
    """Then the pauses grow from round to round, up to a second."""
    backoff = Backoff(rounds_of=3)
    pauses = []
    for _ in range(21):
        pauses.append(backoff.next_pause)
        backoff._tried += 1
    assert [pause for pause in pauses if pause] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert pauses[:3] == [0.0, 0.0, 0.05]


def test_a_success_begins_anew() -> None:
    """After an answer the next failure is met as if it were the first."""
    backoff = Backoff()
    backoff._tried = 100
    backoff.reset()
    assert backoff.next_pause == 0.05
