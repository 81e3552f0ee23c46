"""Playing stories through `simulate`, and a short notation for timelines.

A moment is written `3d`, `2h`, `90s` or `1d+59s` after the start; an event is a moment and a deed: `1d plug a K1`.
It must know the product only through the contract of `simulate`.
"""

from __future__ import annotations

import json
import re
import tomllib
from datetime import datetime, timedelta

from console.simulate import simulate
from tests.unit.law.world import START, Event, Line, Story, parse, rfc3339

UNITS = {"d": 86400, "h": 3600, "s": 1}


def run_story(story: Story | str) -> list[Line]:
    """Return the lines that `simulate` prints for a story, given as a dictionary or as TOML."""
    lines = simulate(tomllib.loads(story) if isinstance(story, str) else story)
    return [json.loads(json.dumps(line)) for line in lines]


def to_toml(story: Story) -> str:
    """Write a story as the file a person would have written."""
    head = [f"{name} = {toml_value(value)}" for name, value in story.items() if name not in ("license", "event")]
    for table in ("license", "event"):
        for row in story.get(table, []):
            head += [f"[[{table}]]", *(f"{name} = {toml_value(value)}" for name, value in row.items())]
    return "\n".join(head) + "\n"


def toml_value(value: object) -> str:
    """Write one value in TOML."""
    match value:
        case datetime():
            return rfc3339(value)
        case dict():
            return "{ " + ", ".join(f"{name} = {toml_value(one)}" for name, one in value.items()) + " }"
        case list():
            return "[" + ", ".join(map(toml_value, value)) + "]"
        case str():
            return f'"{value}"'
    return str(value)


def moment(text: str) -> datetime:
    """Read a moment such as `1d`, `1d+60s` or `-30d`, counted from the start."""
    parts = re.findall(r"([+-]?)(\d+)([dhs])", text)
    return START + timedelta(
        seconds=sum((-1 if sign == "-" else 1) * int(number) * UNITS[unit] for sign, number, unit in parts)
    )


def licence(name: str, key: str | None = None, issued: str = "-30d", expires: str = "400d", **more: object) -> Story:
    """Describe a paid licence for 10 hosts; `more` overrides or adds fields, `service` is a moment."""
    made = {"name": name, "edition": "advanced-paid", "issued": moment(issued), "expires": moment(expires)}
    made |= {"quota": more.pop("quota", {"hosts": 10})}
    if key:
        made["key"] = key
    if service := more.pop("service", None):
        made["service_expires"] = moment(str(service))
    return made | more


KEYS = [
    licence("K1", "K1", issued="-30d"),
    licence("K2", "K2", issued="-20d"),
    licence("K3", "K3", issued="-10d"),
]
ARGUMENTS = {
    "plug": ("node", "key"),
    "unplug": ("node", "key"),
    "break": ("key",),
    "repair": ("key",),
    "down": ("node",),
    "up": ("node",),
    "install": ("license",),
    "observe": (),
}


def event(text: str) -> Event:
    """Read one event of a timeline."""
    when, deed, *words = text.split()
    if deed == "usage":
        counts = {unit: int(count) for unit, _, count in (word.partition("=") for word in words)}
        return {"at": moment(when), "do": "usage", **counts}
    return {"at": moment(when), "do": deed, **dict(zip(ARGUMENTS[deed], words, strict=True))}


def timeline(*events: str, nodes: str = "ab", licences: list[Story] | None = None) -> Story:
    """Build a story from events in the short notation; every letter of `nodes` is a node."""
    return {
        "nodes": list(nodes),
        "start": START,
        "license": KEYS if licences is None else licences,
        "event": [event(text) for text in events],
    }


def after(*events: str, nodes: str = "ab", licences: list[Story] | None = None) -> Line:
    """Play a timeline and return its last line."""
    return run_story(timeline(*events, nodes=nodes, licences=licences))[-1]


def told(line: Line) -> str:
    """Tell a line in short: `Missing, K1 Valid, buffer 31d` (moments counted from the start)."""
    buffer = f", buffer {offset(line['buffer']['expires'])}" if line["buffer"] else ""
    return f"{line['keyState']}, {line['license']['name']} {line['license']['status']}{buffer}"


def offset(text: str) -> str:
    """Write an instant of an answer as a moment: `31d` or `31d+60s`."""
    gap = parse(text) - START
    return f"{gap.days}d" + (f"+{gap.seconds}s" if gap.seconds else "")
