"""What the demo says on its own terminal: in words, or as JSON lines with `--json`.

A terminal that has gone away (`| head`) ends the demo as a signal would. Knows nothing of how things come about.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import click

from console.demo_places import TOKEN_FILE
from console.demo_view import as_json, as_line

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Sequence

    from console.api_client import SiteStatus
    from console.demo_site import Site


class Screen(Protocol):
    """Where the demo says what happens."""

    def ready(self, site: Site) -> None:
        """The site is up: where it answers, and what to try."""

    def render(self, status: SiteStatus) -> str:
        """Return the line that shows a status."""

    def show(self, line: str) -> None:
        """Print a line of the live view."""

    def note(self, text: str) -> None:
        """Say that something was done, or went wrong."""


@dataclass(frozen=True)
class Words:
    """For people. `verbs` and `status` are the commands that reach this demo from another shell; `clock` is local."""

    verbs: str
    status: str
    clock: Callable[[], dt.datetime]

    def ready(self, site: Site) -> None:
        """Print where the site answers and what to try."""
        _print(_welcome(site, self.verbs, self.status))

    def render(self, status: SiteStatus) -> str:
        """Return the status as one line of words."""
        return as_line(status)

    def show(self, line: str) -> None:
        """Print it with the time."""
        _print(f"{self.clock():%H:%M:%S}  {line}")

    def note(self, text: str) -> None:
        """Print it with the time, set apart from the live view."""
        _print(click.style(f"{self.clock():%H:%M:%S}  > {text}", bold=True))


@dataclass(frozen=True)
class JsonLines:
    """For programs: an object on every line, told apart by `event`: ready, status or note."""

    def ready(self, site: Site) -> None:
        """Print where the site answers."""
        nodes = {node.label: {"url": node.url, "managementNodeUuid": node.uuid} for node in site.nodes.values()}
        event = {"event": "ready", "token": site.token, "nodes": nodes, "etcd": site.endpoint}
        _print(json.dumps(event))

    def render(self, status: SiteStatus) -> str:
        """Return the status as one line of JSON."""
        return as_json(status)

    def show(self, line: str) -> None:
        """Print it as it is: it is JSON already."""
        _print(line)

    def note(self, text: str) -> None:
        """Print it."""
        _print(json.dumps({"event": "note", "text": text}))


@dataclass(frozen=True)
class Quiet:
    """Says that the site is up, and nothing more."""

    words: Words

    def ready(self, site: Site) -> None:
        """Print where the site answers and what to try."""
        self.words.ready(site)

    def render(self, status: SiteStatus) -> str:
        """Return nothing: no status is shown."""
        del status
        return ""

    def show(self, line: str) -> None:
        """Print nothing."""

    def note(self, text: str) -> None:
        """Print nothing."""


def _print(text: str) -> None:
    try:
        click.echo(text)
    except OSError:  # nobody reads any more: end as at a signal, and do not stumble over the buffer's rest
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        signal.raise_signal(signal.SIGTERM)


def _welcome(site: Site, verbs: str, status: str) -> str:
    """Return where the site answers and what to try, fitted to the nodes there are."""
    where = "\n".join(f"  node {node.label}   {node.url}" for node in site.nodes.values())
    tries = [*_tries(list(site.nodes), verbs), (status, "the whole status as a table")]
    width = max(len(command) for command, _ in tries) + 3
    shown = "\n".join(f"  {command:<{width}}{what}" for command, what in tries)
    token = site.folder / TOKEN_FILE
    return (
        f"The demo runs on this machine:\n\n{where}\n  token    {site.token}   (also in {token})\n\n"
        f"Try, in another shell:\n{shown}\n"
        f'  curl -H "Authorization: Bearer $(cat {token})" {site.urls[0]}/v1/status\n\n'
        "Every change of the published status is shown below. Ctrl-C ends the demo and removes everything.\n"
    )


def _tries(labels: Sequence[str], verbs: str) -> Iterator[tuple[str, str]]:
    first, last = labels[0], labels[-1]
    yield f"{verbs} plug {first} K1", "insert a USB key: Ready, and its licence is in force"
    yield f"{verbs} unplug {first} K1", "pull it: Missing; after a minute a buffer licence runs"
    yield f"{verbs} break K1", "a key that cannot be read: Fault (`repair K1` mends it)"
    if len(labels) > 1:
        yield f"{verbs} plug {last} K1", "the same key in both nodes: Abnormal, a clone is suspected"
        yield f"{verbs} stop-node {first}", "the other node takes over (`start-node` brings it back)"
        yield f"{verbs} move-vip {last}", "the virtual IP moves, as with keepalived"
