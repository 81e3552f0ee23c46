"""Stories at random: small sites, few keys, and times drawn around the edges of the rules.

One recipe and two ways to choose: hypothesis, which shrinks what fails, and seeded dice, which roam more widely.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from tests.unit.law.world import START, Event, Story, World

Choose = Callable[[Sequence[Any]], Any]

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
KEYS = ("K1", "K2", "K3")
STEPS = (
    *(timedelta(seconds=seconds) for seconds in 2 * (0, 1, 30, 59, 60, 61, 3600)),
    *(DAY * days for days in (1, 7, 15, 23, 30, 45, 60)),
)
TERMS = (-DAY, 3 * DAY, 16 * DAY, 40 * DAY, 75 * DAY, 400 * DAY)
QUOTAS = ({"hosts": 2}, {"hosts": 10}, {"cpuSockets": 4}, {"hosts": 5, "cpuCores": 64})
HANDS = ("plug", "unplug", "break", "repair")
EDGES = (("expires", timedelta()), ("expires", -15 * DAY), ("service_expires", -30 * DAY))


def licence(choose: Choose, name: str, key: str | None, rank: int) -> Story:
    """Choose one licence; `rank` keeps the issue dates of rivals apart where no rule would break the tie."""
    issued = START - choose((30, 20, 10)) * DAY + rank * timedelta(hours=1)
    made: Story = {"name": name, "edition": choose(("basic-paid", "advanced-paid")), "issued": issued}
    made["expires"] = START + choose(TERMS)
    made["quota"] = choose(QUOTAS)
    if key:
        made["key"] = key
    if term := choose((0, 0, 0, 20, 60, 90)):
        made["service_expires"] = START + term * DAY
    return made


def papers_of(choose: Choose, keys: Sequence[str]) -> list[Story]:
    """Choose all licences of a story: keys with none, one or two, and up to two request-key licences."""
    made = []
    for key in keys:
        count = choose((0, 1, 1, 1, 2))
        made += [licence(choose, key if not rank else f"{key}-2", key, rank) for rank in range(count)]
    return made + [licence(choose, f"R{rank}", None, 2 + rank) for rank in range(choose((0, 1, 2)))]


def deeds(world: World, keys: Sequence[str], papers: list[Story]) -> list[Event]:
    """List what may happen next, each kind as often as it deserves."""
    free = [(node, key) for node in world.nodes for key in keys if key not in world.plugged[node]]
    taken = [(node, key) for node in world.nodes for key in world.plugged[node]]
    made: list[Event] = [{"do": "plug", "node": node, "key": key} for node, key in free]
    made += 2 * [{"do": "unplug", "node": node, "key": key} for node, key in taken]
    made += [{"do": "repair" if key in world.broken else "break", "key": key} for _, key in taken]
    made += [{"do": "down" if node in world.up else "up", "node": node} for node in world.nodes]
    made += [{"do": "install", "license": one["name"]} for one in papers]
    return [*made, {"do": "usage", "hosts": 3}, {"do": "usage", "cpuSockets": 5}, {"do": "observe"}]


def moment(choose: Choose, past: list[datetime], papers: list[Story]) -> datetime:
    """Choose the time of the next event: a step after an earlier one or an edge of a licence, give or take a second."""
    dates = [one[name] + gap for one in papers for name, gap in EDGES if name in one]
    dates = [date for date in dates if date > past[-1]]
    aim = choose(dates) if dates and choose((True, *4 * (False,))) else choose(past[-4:]) + choose(STEPS)
    return max(past[-1], aim + choose((0, 0, -1, 1)) * SECOND)


def story_of(choose: Choose, longest: int) -> Story:
    """Choose a whole valid story, ending in an observation."""
    keys, calm = KEYS[: choose((1, 2, 3))], choose((True, False))
    # A calm story has lasting licences and nothing but hands on keys, so that removal follows removal.
    papers = [{**one, "expires": START + 1500 * DAY} if calm else one for one in papers_of(choose, keys)]
    story: Story = {"nodes": choose((["a"], ["a", "b"], ["a", "b"])), "start": START, "license": papers, "event": []}
    world, past = World(story), [START]
    for _ in range(choose(range(2, longest + 1))):
        likely = [deed for deed in deeds(world, keys, papers) if not calm or deed["do"] in HANDS]
        event = {"at": moment(choose, past, papers), **choose(likely)}
        world.happen(event)
        past.append(event["at"])
        story["event"].append(event)
    story["event"].append({"at": moment(choose, past, papers), "do": "observe"})
    return story


@st.composite
def stories(draw: st.DrawFn, longest: int = 14) -> Story:
    """Let hypothesis choose."""
    return story_of(lambda things: draw(st.sampled_from(things)), longest)


def rolled(seed: int, longest: int = 14) -> Story:
    """Let dice choose; equal seeds roll equal stories."""
    return story_of(random.Random(seed).choice, longest)  # noqa: S311 (dice, not secrets)
