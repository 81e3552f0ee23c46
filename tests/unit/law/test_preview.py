"""The preview of a removal, held against what really happens when the story goes on with it."""

from __future__ import annotations

import copy
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given

from console.simulate import POLICY, SimulatedSite
from console.story import Observe, Unplug, parse_story
from licensing.canonical import encode
from licensing.preview import NotInserted, RemovalPreview, preview_removal
from tests.unit.law.oracle import expected
from tests.unit.law.playing import KEYS, licence, moment, timeline, to_toml
from tests.unit.law.stories import rolled, stories
from tests.unit.law.test_properties import comparable, sized
from tests.unit.law.world import START, Event, Line, Story, World, parse

SETTLE = timedelta(seconds=60)
MEMBERS = ("keyState", "license", "buffer", "alerts")


def preview(site: SimulatedSite, key: str, at: datetime) -> RemovalPreview:
    """Return what the product says of pulling a key out of a simulated site."""
    return preview_removal(site._site, site._views(), site._ledger, at, POLICY, key)


def told(found: RemovalPreview) -> Line:
    """Return the members of a preview that a line of a story has too."""
    line: dict[str, Any] = json.loads(encode(found))
    line["license"] = {member: line["license"][member] for member in ("name", "status", "expires")}
    return comparable({member: in_seconds(line[member]) for member in MEMBERS})


def in_seconds(value: Any) -> Any:
    """Write the instants of a line in one way."""
    if isinstance(value, dict):
        return {name: parse(one) if name == "expires" and one else in_seconds(one) for name, one in value.items()}
    return value


def really(site: SimulatedSite, key: str, at: datetime) -> Line:
    """Pull the key out of all running nodes at once, in a copy of the site, and return the line when that has settled.

    What has been pulled from a node that is down shows when it is up again, and so not in this line.
    """
    went_on = copy.deepcopy(site)
    for node in set(site._site.members) - site._down:
        went_on._apply(Unplug(at=at, node=node, key=key))
    went_on.happens(Observe(at=at))
    line = went_on.happens(Observe(at=at + SETTLE))
    return comparable({member: in_seconds(json.loads(json.dumps(line[member]))) for member in MEMBERS})


def by_the_oracle(story: Story, past: list[Event], key: str) -> Line | None:
    """Return the line that the oracle expects; None where the key is in several nodes, as pulls come one by one."""
    world = World(story)
    for event in past:
        world.happen(event)
    holders = [node for node in world.nodes if key in world.plugged[node]]
    if len(holders) > 1:
        return None
    at = past[-1]["at"]
    pulls = [{"at": at, "do": "unplug", "node": node, "key": key} for node in holders]
    line = expected({**story, "event": [*past, *pulls, {"at": at + SETTLE, "do": "observe"}]})[-1]
    return comparable({member: in_seconds(line[member]) for member in MEMBERS})


def agree(story: Story) -> int:
    """Hold the preview of every key after every event against what happens; return how many there were."""
    site, count = SimulatedSite(parse_story(story)), 0
    for number, event in enumerate(parse_story(story).event, 1):
        site.happens(event)
        if not site._led:
            continue  # there is nobody to ask
        for key in sorted({key for node in site._published.nodes for key in (one.key_id for one in node.ukeys)}):
            found = told(preview(site, key, event.at))
            assert found == really(site, key, event.at), to_toml(story)
            due = by_the_oracle(story, story["event"][:number], key)
            assert due in (None, found), to_toml(story)
            count += 1
    return count


@sized(100)
@given(stories(longest=8))
def test_the_preview_is_what_happens(story: Story) -> None:
    """After every event of any story, for every key, the simulated site and the oracle go on as was foretold."""
    agree(story)


def test_the_preview_is_what_happens_in_rolled_stories() -> None:
    """The same with dice, which roam more widely; not in vain: they come upon hundreds of inserted keys."""
    assert sum(agree(rolled(seed)) for seed in range(100)) > 300


def site_after(*events: str, licences: list[Story] | None = None) -> SimulatedSite:
    """Play a timeline and return the site."""
    story = parse_story(timeline(*events, licences=licences))
    site = SimulatedSite(story)
    for event in story.event:
        site.happens(event)
    return site


PULLED = ("1d plug a K1", "2d unplug a K1", "3d plug a K1")
FAULT = ("1d plug a K1", "2d plug a X")
OLD = licence("OLD", "OLD", issued="-90d", expires="4d")
SITE_LICENCE = licence("R", issued="-1d")

REASONS: dict[str, tuple[tuple[str, ...], str, str, str, int | None, str]] = {
    # the story, the key that is pulled, the key state, the licence in force, days of buffer, a part of the reason
    "first": (("1d plug a K1", "5d observe"), "K1", "Missing", "K1 Valid", 30, "First removal of this key"),
    "inherited": ((*PULLED, "5d observe"), "K1", "Missing", "K1 Valid", 27, "Less than 60 days since the last"),
    "inherited-past": ((*PULLED, "50d observe"), "K1", "Missing", "K1 Expired", 0, "Less than 60 days"),
    "later": ((*PULLED, "90d observe"), "K1", "Missing", "K1 Valid", 60, "60 days or more since the last removal"),
    "capped": (("1d plug a SHORT", "5d observe"), "SHORT", "Missing", "SHORT Valid", 15, "First removal"),
    "other-key": (("1d plug a K1", "2d plug b K2"), "K1", "Ready", "K2 Valid", None, "USB key K2 takes over"),
    "spare-key": (("1d plug a K1", "2d plug b K2"), "K2", "Ready", "K1 Valid", None, "of USB key K1: it does not"),
    "site-licence": (
        ("1d plug a OLD", "2d install R", "5d observe"),
        "OLD",
        "Missing",
        "R Valid",
        None,
        "R, is not from a USB key",
    ),
    "site-licence-next": (
        ("1d plug a K1", "2d install R", "5d observe"),
        "K1",
        "Missing",
        "R Valid",
        None,
        "Meanwhile the licence R is in force",
    ),
    "expired": (("1d plug a OLD", "5d observe"), "OLD", "Missing", "OLD Expired", None, "already expired"),
    "repairs": ((*FAULT, "5d observe"), "X", "Ready", "K1 Valid", None, "USB key K1 serves again"),
    "in-fault": ((*FAULT, "5d observe"), "K1", "Fault", "K1 Valid", 27, "out of service already"),
    "clone": (("1d plug a K1", "2d plug b K1"), "K1", "Missing", "K1 Valid", 30, "First removal"),
    "trial": (("1d plug a X",), "X", "None", "Basic Edition - Trial Valid", None, "is not from a USB key"),
    "unseen": (("1d plug b K1", "2d down b"), "K1", "Ready", "K1 Valid", None, "its node does not report (b)"),
}
PAPERS = [*KEYS, OLD, SITE_LICENCE, licence("SHORT", "SHORT", expires="20d")]


@pytest.mark.parametrize("name", REASONS)
def test_the_preview_says_what_comes_and_why(name: str) -> None:
    """By hand: the key state, the licence, the whole days of buffer, and the sentence that explains them."""
    events, key, state, licence_is, days, part = REASONS[name]
    at = moment(events[-1].split()[0])
    found = preview(site_after(*events, licences=PAPERS), key, at)
    assert (found.key_state.value, f"{found.license.name} {found.license.status.value}") == (state, licence_is)
    assert found.days_left == days
    assert part in found.reason
    assert (found.at, found.settled) == (at, at + SETTLE)


def test_the_buffer_is_counted_from_the_removal() -> None:
    """It ends thirty days after the moment for which was asked, to the second, and then the licence is not valid."""
    found = preview(site_after("1d plug a K1", "5d observe"), "K1", START + timedelta(days=5))
    assert found.buffer
    assert found.buffer.expires == START + timedelta(days=35)
    assert found.after_buffer.name == "K1"
    assert found.after_buffer.status.value == "Expired"


def test_what_comes_into_force_after_the_buffer_is_told() -> None:
    """An older licence of the site stands in when the buffer of the key has run out."""
    older = licence("R", issued="-300d")
    site = site_after("1d plug a K1", "2d install R", "5d observe", licences=[*KEYS, older])
    found = preview(site, "K1", START + timedelta(days=5))
    assert (found.license.name, found.after_buffer.name) == ("K1", "R")
    assert found.after_buffer.status.value == "Valid"


@pytest.mark.parametrize("events", [("1d plug a K1",), ("1d plug a K1", "2d plug b K2"), ("1d observe",)], ids=len)
def test_a_key_that_is_not_inserted_is_refused(events: tuple[str, ...]) -> None:
    """The refusal has those that are, each once."""
    with pytest.raises(NotInserted) as refused:
        preview(site_after(*events), "K3", START + timedelta(days=3))
    assert refused.value.inserted == tuple(event.split()[-1] for event in events if "plug" in event)
    assert "K3" in str(refused.value)
