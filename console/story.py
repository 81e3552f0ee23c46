"""The story file of `twinkey simulate`: its form, and what makes one impossible.

A story is read whole and checked before any of it happens, so that a mistake in it changes nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from licensing.licence import Edition, Quota
from licensing.value import Count, Name, Time

_EARLIEST, _LATEST = dt.datetime(1971, 1, 1, tzinfo=dt.UTC), dt.datetime(9000, 1, 1, tzinfo=dt.UTC)

NodeName = Annotated[str, Meta(min_length=1, max_length=64)]


class StoryError(Exception):
    """A story that cannot be told: the text names the place and says what to do."""


class StoryLicence(Struct, frozen=True, forbid_unknown_fields=True):
    """A licence of the story; with `key` it is preloaded on that USB key, without it is a request-key licence."""

    name: Name
    edition: Edition
    issued: Time
    expires: Time
    quota: Quota = Quota()
    key: Name | None = None
    service_expires: Time | None = None


class _Event(Struct, frozen=True, forbid_unknown_fields=True, tag_field="do"):
    at: Time


class Plug(_Event, frozen=True, tag="plug"):
    """A USB key is inserted into a node."""

    node: NodeName
    key: Name


class Unplug(_Event, frozen=True, tag="unplug"):
    """A USB key is pulled from a node."""

    node: NodeName
    key: Name


class Break(_Event, frozen=True, tag="break"):
    """A USB key stops working."""

    key: Name


class Repair(_Event, frozen=True, tag="repair"):
    """A USB key works again."""

    key: Name


class Down(_Event, frozen=True, tag="down"):
    """A node stops: it reports and leads no more."""

    node: NodeName


class Up(_Event, frozen=True, tag="up"):
    """A node starts again."""

    node: NodeName


class Install(_Event, frozen=True, tag="install"):
    """A licence is uploaded."""

    license: Name


class ReportUsage(_Event, frozen=True, tag="usage", rename="camel"):
    """The platform reports what it uses; a unit left out keeps its value."""

    hosts: Count | None = None
    cpu_sockets: Count | None = None
    cpu_cores: Count | None = None


class Observe(_Event, frozen=True, tag="observe"):
    """Nothing happens; the answer is printed."""


Event = Plug | Unplug | Break | Repair | Down | Up | Install | ReportUsage | Observe


class Story(Struct, frozen=True, forbid_unknown_fields=True):
    """A site, its licences and what happens to it, in the order of time."""

    nodes: Annotated[tuple[NodeName, ...], Meta(min_length=1, max_length=2)]
    start: Time
    license: tuple[StoryLicence, ...] = ()
    event: tuple[Event, ...] = ()


def parse_story(data: object) -> Story:
    """Return the story in a parsed TOML document.

    Raises:
        StoryError: it has another form, or something in it cannot happen.
    """
    try:
        story = msgspec.convert(data, Story)
    except msgspec.ValidationError as error:
        raise StoryError(f"{error}. See `twinkey simulate --help` for the form of a story.") from error
    try:
        story = _in_utc(story)
    except OverflowError as error:
        raise StoryError("a time is outside the calendar when it is told in UTC; give another one.") from error
    problem = next(_problems(story), None)
    if problem is not None:
        raise StoryError(problem)
    return story


T = TypeVar("T", bound=Struct)


def _utc(value: T) -> T:
    times = {
        name: getattr(value, name).astimezone(dt.UTC)
        for name in value.__struct_fields__
        if isinstance(getattr(value, name), dt.datetime)
    }
    return msgspec.structs.replace(value, **times)


def _in_utc(story: Story) -> Story:
    return Story(story.nodes, story.start.astimezone(dt.UTC), _each(_utc, story.license), _each(_utc, story.event))


def _each(change: Callable[[T], T], values: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(change(value) for value in values)


def _problems(story: Story) -> Iterator[str]:
    if len(set(story.nodes)) != len(story.nodes):
        yield f"nodes: {story.nodes[0]!r} is named twice; give every node a name of its own."
    names = [licence.name for licence in story.license]
    for name in names:
        if names.count(name) > 1:
            yield f"license {name!r} is there twice; give every licence a name of its own."
    yield from _impossible_times(story)
    before = story.start
    inserted: set[tuple[str, str]] = set()
    for number, event in enumerate(story.event, start=1):
        if event.at < before:
            yield f"event {number}: at {event.at.isoformat()} is before {before.isoformat()}; put events in time order."
        before = event.at
        for problem in _impossible(event, story, names, inserted):
            yield f"event {number}: {problem}"


def _impossible_times(story: Story) -> Iterator[str]:
    """Keep the law's sums of times within the calendar."""
    times = [("start", story.start), *((f"event {n}", event.at) for n, event in enumerate(story.event, start=1))]
    for place, at in times:
        if not _EARLIEST <= at <= _LATEST:
            yield f"{place}: {at.isoformat()} is not between the years {_EARLIEST.year} and {_LATEST.year}."
    for licence in story.license:
        for date in (licence.issued, licence.expires, licence.service_expires):
            if date is not None and date < _EARLIEST:
                yield f"license {licence.name!r}: {date.isoformat()} is before the year {_EARLIEST.year}."


def _impossible(event: Event, story: Story, names: list[str], inserted: set[tuple[str, str]]) -> Iterator[str]:
    if isinstance(event, (Plug, Unplug, Down, Up)) and event.node not in story.nodes:
        yield f"there is no node {event.node!r}; the nodes are {', '.join(story.nodes)}."
    match event:
        case Plug(node=node, key=key):
            if (node, key) in inserted:
                yield f"key {key!r} is in node {node!r} already; unplug it first or plug another key."
            inserted.add((node, key))
        case Unplug(node=node, key=key):
            if (node, key) not in inserted:
                yield f"key {key!r} is not in node {node!r}; plug it first."
            inserted.discard((node, key))
        case Install(license=name) if name not in names:
            yield f"there is no license {name!r}; the licences are {', '.join(names) or 'none'}."
        case ReportUsage(hosts=None, cpu_sockets=None, cpu_cores=None):
            yield "usage names no unit; give hosts, cpuSockets or cpuCores."
