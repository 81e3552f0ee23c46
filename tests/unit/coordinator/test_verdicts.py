"""Verdicts are remembered as long as they are right, and no more of them than fit."""

from __future__ import annotations

import json

import pytest

from cluster.values import encode_value
from coordinator import verdicts
from coordinator.errors import ApiError
from coordinator.verdicts import Verdicts
from licensing.ledger import Usage
from tests.unit.coordinator.serving import answer
from tests.unit.coordinator.stored import NOW, POLICY, at_rest, publish

ROOM = answer(publish(at_rest(usage=encode_value(Usage(NOW, hosts=9)))))
FULL = answer(publish(at_rest(usage=encode_value(Usage(NOW, hosts=10)))))


def question(hosts: int = 1, padding: int = 0) -> bytes:
    """Return the body of a question about that many hosts more."""
    return json.dumps({"operation": "host.add", "delta": {"hosts": hosts}}).encode() + b" " * padding


def test_the_same_question_is_worked_out_once() -> None:
    """The very same bytes are told again."""
    judged = Verdicts(POLICY)
    allowed, body = judged.of(ROOM, question())
    assert (allowed, json.loads(body)["allowed"]) == (True, True)
    assert judged.of(ROOM, question())[1] is body


def test_another_answer_makes_other_verdicts() -> None:
    """What was allowed by the last answer is judged anew by the next one, and by the one after that."""
    judged = Verdicts(POLICY)
    assert [judged.of(shown, question())[0] for shown in (ROOM, FULL, ROOM)] == [True, False, True]


def test_another_question_has_its_own_verdict() -> None:
    """Questions are told apart by all of their bytes."""
    judged = Verdicts(POLICY)
    assert [judged.of(ROOM, question(hosts))[0] for hosts in (1, 2, 1)] == [True, False, True]


def test_a_long_question_is_worked_out_every_time() -> None:
    """Nobody fills the memory with white space."""
    judged, long = Verdicts(POLICY), question(padding=verdicts.LONGEST_REMEMBERED)
    assert judged.of(ROOM, long)[1] is not judged.of(ROOM, long)[1]


def test_no_more_are_remembered_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that come later are answered all the same."""
    monkeypatch.setattr(verdicts, "MOST_REMEMBERED", 1)
    judged = Verdicts(POLICY)
    first = judged.of(ROOM, question(1))[1]
    assert [judged.of(ROOM, question(2))[0] for _ in range(2)] == [False, False]
    assert judged.of(ROOM, question(2))[1] is not judged.of(ROOM, question(2))[1]
    assert judged.of(ROOM, question(1))[1] is first


def test_a_bad_question_is_bad_every_time() -> None:
    """A refusal is no verdict."""
    judged = Verdicts(POLICY)
    for _ in range(2):
        with pytest.raises(ApiError):
            judged.of(ROOM, b'{"operation":"create"}')
