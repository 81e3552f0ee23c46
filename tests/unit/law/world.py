"""What is physically true in a story: which key is in which node, which node runs, which key is broken.

Knows nothing of licensing: only what the hands of the people in the story did.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

Story = dict[str, Any]
Event = dict[str, Any]
Line = dict[str, Any]

START = datetime(2026, 1, 1, tzinfo=UTC)


class World:
    """The hardware of one story, moved on by one event at a time."""

    def __init__(self, story: Story) -> None:
        self.nodes: list[str] = list(story["nodes"])
        self.plugged: dict[str, list[str]] = {node: [] for node in self.nodes}
        self.up = set(self.nodes)
        self.broken: set[str] = set()
        self.licensed = {licence["key"] for licence in story.get("license", []) if "key" in licence}

    def happen(self, event: Event) -> None:
        """Apply what an event does to hardware; other events change nothing here."""
        match event["do"]:
            case "plug":
                self.plugged[event["node"]].append(event["key"])
            case "unplug":
                self.plugged[event["node"]].remove(event["key"])
            case "break":
                self.broken.add(event["key"])
            case "repair":
                self.broken.discard(event["key"])
            case "down":
                self.up.discard(event["node"])
            case "up":
                self.up.add(event["node"])

    def readable(self, key: str) -> bool:
        """Say whether a reader would get a licence from the key."""
        return key in self.licensed and key not in self.broken

    def seen(self, key: str) -> bool:
        """Say whether a running node has the key inserted."""
        return any(key in self.plugged[node] for node in self.up)


def preloaded(story: Story, name: str | None) -> Story | None:
    """Return the story's licence of that name, or None (the trial, no licence)."""
    return next((licence for licence in story.get("license", []) if licence["name"] == name), None)


def rfc3339(when: datetime) -> str:
    """Write an instant as stories and answers do."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse(text: str) -> datetime:
    """Read an instant of an answer."""
    return datetime.fromisoformat(text)
