"""What is told of nodes that run different versions."""

from __future__ import annotations

import pytest

from coordinator.versions import version_notices
from licensing.status import Alert
from tests.unit.coordinator.stored import KEYS, A, B, at_rest, facts_of, publish, published_in, stored_report, view_of


def reporting(a: str, b: str | None) -> dict[str, bytes]:
    """Return what is stored when the agents of both nodes are of these versions; None for one that is gone."""
    values = at_rest() | {KEYS.node(A): stored_report(A, version=a), KEYS.node(B): stored_report(B, version=b or "")}
    if b is None:
        del values[KEYS.node(B)]
    return values


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        pytest.param("0.2.0", "0.2.0", None, id="same"),
        pytest.param("", "", None, id="both-unknown"),
        pytest.param("0.2.0", None, None, id="one-gone"),
        pytest.param(
            "0.2.0", "0.1.0", "Node Node B runs 0.1.0, older than 0.2.0 on node Node A: upgrade it.", id="older"
        ),
        pytest.param("0.9.0", "0.10.0", "Node Node A runs 0.9.0, older than 0.10.0", id="numbers"),
        pytest.param("", "0.2.0", "Node Node A runs a version before 0.2.0, older than 0.2.0", id="unknown"),
        pytest.param("0.2.0", "0.2.0+fix", "The nodes run different builds", id="builds"),
        pytest.param("0.2.0", "\x1b[31mred", "Node Node B runs \ufffd[31mred, older", id="no-version"),
    ],
)
def test_the_older_node_is_named(a: str, b: str | None, told: str | None) -> None:
    """As long as both are there and differ; a text that is no version counts as the oldest and harms no terminal."""
    notices = version_notices(facts_of(view_of(publish(reporting(a, b)))), "A")
    assert [notice.alert for notice in notices] == ([Alert.UPGRADE_NEEDED] if told else [])
    assert told is None or notices[0].sentence.startswith(told)


def test_what_cannot_be_read_is_told_by_the_node_that_cannot() -> None:
    """The sentence names that node, what it cannot read, and what it does not know of it."""
    values = publish(at_rest())
    values[KEYS.ledger] = values[KEYS.ledger].replace(b'{"data":{', b'{"data":{"aaa":1,', 1)
    (notice,) = version_notices(facts_of(view_of(values)), "B")
    assert notice.sentence.startswith("Node B cannot read what a newer version stored: upgrade it. ")
    assert f"{KEYS.ledger}: " in notice.sentence
    assert "aaa" in notice.sentence


def test_versions_are_not_published() -> None:
    """An older node could not read a status with something new in it, and each node finds it out for itself."""
    assert b"upgrade" not in publish(reporting("0.2.0", "0.1.0"))[KEYS.status]
    assert published_in(publish(reporting("0.2.0", "0.1.0"))).notices == ()
