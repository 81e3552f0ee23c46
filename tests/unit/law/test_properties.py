"""What must hold of every story: agreement with the oracle, and the promises of the rules on their own.

The stories are drawn the same way on every run.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.unit.law.oracle import expected
from tests.unit.law.playing import KEYS, after, run_story, timeline, to_toml
from tests.unit.law.stories import rolled, stories
from tests.unit.law.world import Line, Story, World, parse, preloaded

DAY = timedelta(days=1)
SETTLE = timedelta(seconds=60)


def sized(examples: int) -> settings:
    """Return the settings of one property."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def comparable(line: Line) -> Line:
    """Forget the order of the alerts, which no rule sets."""
    assert len(set(line["alerts"])) == len(line["alerts"])
    return line | {"alerts": sorted(line["alerts"])}


@sized(500)
@given(stories())
def test_every_line_is_the_one_the_oracle_expects(story: Story) -> None:
    """Two independent readings of the rules print the same story."""
    agree(story)


@pytest.mark.parametrize(("seeds", "longest"), [(range(1500), 14), (range(300), 40)])
def test_rolled_stories_are_the_ones_the_oracle_expects(seeds: range, longest: int) -> None:
    """Dice roam more widely than hypothesis does; the failure names its story."""
    for seed in seeds:
        agree(rolled(seed, longest))


def agree(story: Story) -> None:
    """Hold the product's lines against the oracle's."""
    printed, due = run_story(story), expected(story)
    assert len(printed) == len(due)
    for line, should in zip(printed, due, strict=True):
        assert comparable(line) == comparable(should), to_toml(story)


@sized(200)
@given(stories(longest=20))
def test_a_key_gets_at_most_one_new_buffer_in_sixty_days(story: Story) -> None:
    """The ends of two different buffers of one key, not cut short by a licence, are sixty days apart or more."""
    expiries = {one["expires"] for one in story["license"]}
    ends: dict[str, set[timedelta]] = {}
    for line in run_story(story):
        licence = preloaded(story, line["license"]["name"])
        if licence and line["buffer"] and parse(line["buffer"]["expires"]) not in expiries:
            ends.setdefault(licence["key"], set()).add(parse(line["buffer"]["expires"]) - story["start"])
    for key_ends in ends.values():
        assert all(later - sooner >= 60 * DAY for sooner, later in itertools.pairwise(sorted(key_ends)))


@sized(200)
@given(stories(longest=20))
def test_no_licensed_time_beyond_what_the_rules_grant(story: Story) -> None:
    """Valid means: before the licence's expiry and the buffer's end, and no key out of reach for sixty days."""
    world, last_in = World(story), dict.fromkeys(("K1", "K2", "K3"), story["start"])
    always_up = all(event["do"] != "down" for event in story["event"])
    for event, line in zip(story["event"], run_story(story), strict=True):
        now = event["at"]
        last_in |= {key: now for node in world.nodes for key in world.plugged[node]}
        world.happen(event)
        if line["license"]["status"] == "Expired":
            continue
        assert now < parse(line["license"]["expires"])
        assert line["buffer"] is None or now < parse(line["buffer"]["expires"])
        key = (preloaded(story, line["license"]["name"]) or {}).get("key")
        if key and always_up and not world.seen(key):
            # Every removal that lasts settles; what it then grants ends sixty days after its beginning at the latest.
            assert now - last_in[key] < 60 * DAY
            assert line["buffer"] or now - last_in[key] < SETTLE


@sized(200)
@given(stories(longest=20))
def test_abnormal_never_takes_the_licence_from_a_serving_key(story: Story) -> None:
    """A key in use that stays in, readable and valid keeps its licence in force while the state is Abnormal."""
    world, in_use = World(story), None
    for event, line in zip(story["event"], run_story(story), strict=True):
        world.happen(event)
        licence = preloaded(story, line["license"]["name"])
        if in_use and line["keyState"] == "Abnormal" and serves(world, story, in_use, line):
            assert licence
            assert licence.get("key") == in_use
        in_use = None
        if licence and "key" in licence and line["keyState"] in ("Ready", "Abnormal"):
            in_use = licence["key"] if serves(world, story, licence["key"], line) else None


def serves(world: World, story: Story, key: str, line: Line) -> bool:
    """Say whether a key is in a running node, readable, with a preloaded licence that has not expired."""
    first = next(one for one in story["license"] if one.get("key") == key)
    return world.seen(key) and world.readable(key) and parse(line["at"]) < first["expires"]


@sized(100)
@given(stories())
def test_equal_stories_print_equal_bytes(story: Story) -> None:
    """A second run prints the very same text, and so does the story written as a file."""
    once = json.dumps(run_story(story))
    assert json.dumps(run_story(story)) == once
    assert json.dumps(run_story(to_toml(story))) == once


def test_the_command_prints_equal_bytes_in_every_process(tmp_path: Path) -> None:
    """Two fresh processes with different hash seeds print what the function returns, line by line."""
    story = timeline(
        "1d plug a K1", "2d plug b K1", "3d plug a K3", "4d down b", "4d usage hosts=11 cpuCores=3", "6d break K1"
    )
    (tmp_path / "story.toml").write_text(to_toml(story))
    texts = {printed_by_process(tmp_path / "story.toml", seed) for seed in ("1", "20260101")}
    assert len(texts) == 1
    assert [json.loads(line) for line in texts.pop().splitlines()] == run_story(story)


def printed_by_process(path: Path, seed: str) -> str:
    """Return what `twinkey simulate --json` prints in a process of its own."""
    code = "from console.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "simulate", str(path), "--json"],
        env=os.environ | {"PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def deeds_on(node: str, inside: str) -> list[str]:
    """List what hands may do on one node that holds `inside` (a key, or `-` for none)."""
    out = [f"unplug {node} {inside}"] if inside != "-" else []
    return out + [f"plug {node} {key}" for key in ("K1", "X", "Y") if key != inside]


# Two unreadable keys are left out: whether K1, put beside one of them, comes into use depends on the other being there.
@pytest.mark.parametrize(("in_a", "in_b"), list(itertools.product(("-", "K1", "X"), repeat=2))[:-1])
def test_hands_on_different_nodes_at_one_instant_commute(in_a: str, in_b: str) -> None:
    """With one licensed key about, the order of two deeds at one instant on two nodes leaves no trace."""
    start = [f"1d plug {node} {key}" for node, key in (("a", in_a), ("b", in_b)) if key != "-"]
    for one, other in itertools.product(deeds_on("a", in_a), deeds_on("b", in_b)):
        for later in ("2d", "2d+60s", "40d"):
            this_way = after(*start, f"2d {one}", f"2d {other}", f"{later} observe", licences=KEYS[:1])
            that_way = after(*start, f"2d {other}", f"2d {one}", f"{later} observe", licences=KEYS[:1])
            assert this_way == that_way, (one, other, later)


@sized(200)
@given(stories())
def test_the_alerts_say_what_the_fields_say(story: Story) -> None:
    """Every alert that repeats a field is there exactly when the field says so."""
    for line in run_story(story):
        alerts, now = set(line["alerts"]), parse(line["at"])
        expired = line["license"]["status"] == "Expired"
        for state, alert in (("Missing", "key-missing"), ("Abnormal", "key-abnormal"), ("Fault", "key-fault")):
            assert (alert in alerts) == (line["keyState"] == state)
        assert ("expired" in alerts) == expired
        assert ("quota-exceeded" in alerts) == (not line["startAllowed"])
        assert line["restricted"] == (expired or not line["startAllowed"])
        assert "clone-suspected" not in alerts or line["keyState"] in ("Abnormal", "Fault")
        left = parse(line["buffer"]["expires"]) - now if line["buffer"] else None
        assert ("buffer-ending" in alerts) == (left is not None and timedelta() < left < 7 * DAY)
        remaining = parse(line["license"]["expires"]) - now if line["license"]["expires"] else timedelta()
        assert ("expiring" in alerts) == (timedelta() < remaining < 15 * DAY)
