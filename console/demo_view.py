"""The live view of the demo: one line whenever the published status changes.

Every node is asked on a long poll of its own, so that a node that is stopped, frozen or behind does not hold up
the view. The poll waits for another entity tag, which also tells when the same publication has become stale.
Knows HTTP and no process.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from typing import TYPE_CHECKING, Protocol

import msgspec

from console.api_client import Api, SiteStatus, Unreachable, parse_status
from console.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from console.api_client import Key, Node

LONG_POLL = 30
NOT_MODIFIED = 304
AGAIN = 0.5  # seconds until a node that did not answer is asked again
BREATH = 0.05  # seconds between two answers: a burst of changes becomes one line


class Lines(Protocol):
    """Where lines go and what a line is."""

    def render(self, status: SiteStatus) -> str:
        """Return the line that shows a status."""

    def show(self, line: str) -> None:
        """Print a line of the view."""

    def note(self, text: str) -> None:
        """Say what a status cannot."""


class View:
    """Shows a status when it says something new."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._index = -1
        self._shown = ""
        self._silent: set[str] = set()

    async def follow(self, urls: Iterable[str], token: str) -> None:
        """Follow all nodes until cancelled."""
        async with asyncio.TaskGroup() as group:
            everybody = tuple(urls)
            for url in everybody:
                group.create_task(self._follow_one(url, token, len(everybody)))

    async def _follow_one(self, url: str, token: str, nodes: int) -> None:
        api, etag = Api((url,), token), None
        while True:
            try:
                answer = await api.get(f"/v1/status?wait={LONG_POLL if etag else 0}", LONG_POLL + 5, etag)
                if answer.status != NOT_MODIFIED:
                    self._show(parse_status(answer))
            except (Unreachable, msgspec.DecodeError):
                etag = None
                self._hears_nothing(url, nodes)
                await asyncio.sleep(AGAIN)
                continue
            self._silent.discard(url)
            etag = answer.headers.get("ETag")
            await asyncio.sleep(BREATH)

    def _show(self, site: SiteStatus) -> None:
        """Show it unless a newer one was shown, which a node that lags behind may contradict."""
        text = self._lines.render(site)
        if site.index >= self._index and text != self._shown:
            self._index, self._shown = site.index, text
            self._lines.show(text)

    def _hears_nothing(self, url: str, nodes: int) -> None:
        if url not in self._silent and len(self._silent) == nodes - 1:
            self._shown = ""  # whatever comes next is news
            self._lines.note("No node answers.")
        self._silent.add(url)


def as_line(site: SiteStatus) -> str:
    """Return the status on one line for people: key state, licence, buffer, alerts, leader, nodes."""
    licence = site.license
    until = f" until {_day(licence.expires)}" if licence.expires else ""
    parts = (
        f"key {site.key_state:<8}",
        f"licence {licence.name or 'none'} {licence.status}{until}",
        f"buffer until {_day(site.buffer.expires)}" if site.buffer else "no buffer",
        f"alerts: {', '.join(site.alerts) or 'none'}",
        f"{site.leader.name} leads" if site.leader else "nobody leads",
        "  ".join(_node(node) for node in site.nodes),
        *(["STALE"] if site.stale else []),
    )
    return printable(" | ".join(parts))


def as_json(site: SiteStatus) -> str:
    """Return the status as one line of JSON, in the words of `simulate`."""
    licence = {"name": site.license.name, "status": site.license.status, "expires": site.license.expires}
    values = {
        "event": "status",
        "keyState": site.key_state,
        "license": licence,
        "buffer": site.buffer,
        "alerts": site.alerts,
        "restricted": site.restricted,
        "startAllowed": site.start_allowed,
        "leader": site.leader.name if site.leader else None,
        "nodes": site.nodes,
        "stale": site.stale,
    }
    return json.dumps(msgspec.to_builtins(values))


def _node(node: Node) -> str:
    keys = ", ".join(map(_key, node.ukeys))
    marks = (" [VIP]" if node.vip else "") + ("" if node.reachable else " [not reachable]")
    return f"{node.name}{marks}: {keys or 'no key'}"


def _key(key: Key) -> str:
    """Return the key with what is not as it should be: its reading, or that it could be a copy."""
    if key.reading != "ok":
        return f"{key.key_id} ({key.reading})"
    return f"{key.key_id} (copyable)" if key.assurance == "copyable" else key.key_id


def _day(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d}"
