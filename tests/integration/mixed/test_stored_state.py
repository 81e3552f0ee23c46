"""What the release before this one stored is read by this version, which goes on from there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.mixed.older_release import licensed
from tests.integration.mixed.stored_state import KEY, Line, SiteOfThen, data_of, read_lines
from tests.site import KEYS, Status, keys_in, node_in

THEN = read_lines()


def with_members(line: Line, drop: tuple[str, ...], **more: Any) -> Line:
    """Return a stored value without some members, which came later than others, and with some that have gone."""
    told = json.loads(line.value)
    told["data"] = {name: each for name, each in told["data"].items() if name not in drop} | more
    return line._replace(value=json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False))


def before_it(line: Line) -> Line:
    """Return a line as versions still before that release wrote it."""
    if line.key.startswith((KEYS.nodes, KEYS.last_seen("n").removesuffix("n"))):
        newer = ("abandonedReaders", "watchesVip", "contested", "serving", "reread", "ledger")
        return with_members(line, newer, ledgerSequence=1)
    if line.key == KEYS.status:
        return with_members(line, ("ledger", "notices"), ledgerSequence=1)
    return line


@pytest.fixture(params=[lambda line: line, before_it], ids=["as-written", "still-older"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SiteOfThen]:
    """Start this version on what was stored."""
    older: Callable[[Line], Line] = request.param
    found = SiteOfThen(tmp_path, list(map(older, THEN)))
    try:
        found.launch_on_it()
        yield found
    finally:
        found.close()


def goes_on(status: Status, index: Any) -> bool:
    """Whether this version has published something, and sees both nodes and the key."""
    reports = all(node["reachable"] for node in status["nodes"])
    return status["index"] > index and not status["stale"] and reports and keys_in(status)["a"] == {KEY: "ok"}


def test_every_kind_of_value_is_among_what_was_stored() -> None:
    """So that each is read by these tests, and none is forgotten when the files are made anew."""
    kinds = {line.key.removeprefix(KEYS.prefix).partition("/")[0] for line in THEN}
    expected = (
        *(KEYS.leader, KEYS.site, KEYS.ledger, KEYS.usage, KEYS.clock, KEYS.status, KEYS.records),
        *(KEYS.node("n"), KEYS.last_seen("n"), KEYS.drain("n"), KEYS.reread("n"), KEYS.outcome("n")),
    )
    assert {key.removeprefix(KEYS.prefix).partition("/")[0] for key in expected} <= kinds


def test_the_same_licence_is_shown_and_all_goes_on(site: SiteOfThen) -> None:
    """Licence, key, usage and drain are as they were, the index rises, the history is whole, and changes are taken."""
    then = data_of(THEN, KEYS.status)
    shown = then["status"]
    assert isinstance(shown, dict)
    assert (shown["license"]["keyId"], shown["license"]["status"]) == (KEY, "Valid")
    for status in site.wait_for_all(lambda status: goes_on(status, then["index"]), 20):
        assert licensed(status)
        assert status["license"] == shown["license"]
        assert status["usage"]["hosts"] == shown["usage"]["hosts"]
        assert node_in(status, "b")["drained"]
        assert not any("cannot be used" in node["problem"] for node in status["nodes"])
        assert "store-restored" not in status["alerts"]
    assert b'"intact":true' in site.get("b", "/v1/licenses/records/verification").body
    assert site.call("b", "PUT", "/v1/licenses/usage", b'{"hosts":4}').status == 200
    site.wait_for_all(lambda status: status["usage"]["hosts"] == 4)
    path = f"/v1/nodes/{site.nodes['b'].uuid}/actions"
    assert site.call("a", "PUT", path, b'{"undrain":{}}').status == 200
    site.wait_for_all(lambda status: not node_in(status, "b")["drained"])
