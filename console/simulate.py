"""`twinkey simulate`: the rules on a timeline, with the functions that decide in production and no cluster.

The simulated site has one leader as long as a node is up. With every node down nobody decides: what is remembered
stays, and only the passing of time shows.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from pathlib import Path
from typing import Any

import click
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from console.story import (
    Break,
    Down,
    Event,
    Install,
    Plug,
    Repair,
    ReportUsage,
    Story,
    StoryError,
    StoryLicence,
    Unplug,
    Up,
    parse_story,
)
from licensing.decide import decide
from licensing.describe import describe
from licensing.envelope import PRODUCT, LicenceRefused, open_licence, seal
from licensing.install import Circumstances, Installed, install
from licensing.keyring import PURPOSE_LICENCE, Keyring, VendorKey, key_id
from licensing.ledger import Ledger, Site
from licensing.licence import KeyBinding, Licence, SignedLicence, SiteBinding
from licensing.policy import Policy
from licensing.presence import observe, resume
from licensing.seen import InsertedKey, NodeView, Reading, Visibility
from licensing.status import Status
from licensing.usage import UsageReport, merge
from licensing.value import Time

POLICY = Policy()


def simulate(data: object) -> list[dict[str, Any]]:
    """Return one answer for every event of a story given as a parsed TOML document.

    Raises:
        StoryError: the story cannot be told.
    """
    story = parse_story(data)
    site = SimulatedSite(story)
    return [site.happens(event) for event in story.event]


class SimulatedSite:
    """A site without a cluster: its nodes, the keys in them, and the ledger of its leader."""

    def __init__(self, story: Story) -> None:
        nonces = tuple(str(number) for number in range(len(story.license)))
        self._site = Site("simulated", story.nodes, story.start, nonces=nonces)
        self._licences = _sign(story)
        self._preloaded: dict[str, SignedLicence] = {}
        for told in story.license:
            if told.key is not None:
                self._preloaded.setdefault(told.key, self._licences[told.name])
        self._inserted: dict[str, tuple[str, ...]] = dict.fromkeys(story.nodes, ())
        self._last_report: dict[str, tuple[InsertedKey, ...]] = dict.fromkeys(story.nodes, ())
        self._broken: set[str] = set()
        self._down: set[str] = set()
        self._dark_since: Time | None = None
        self._decide(Ledger(), story.start)

    def happens(self, event: Event) -> dict[str, Any]:
        """Let everything fall due that is due, then let the event happen, and return the answer."""
        self._wait_until(event.at)
        self._apply(event)
        if self._led:
            self._decide(self._ledger, event.at)
        return _line(event.at, self._status(event.at))

    @property
    def _led(self) -> bool:
        return len(self._down) < len(self._site.members)

    def _wait_until(self, at: Time) -> None:
        while self._led and self._next_change is not None and self._next_change <= at:
            self._decide(self._ledger, self._next_change)

    def _decide(self, ledger: Ledger, now: Time) -> None:
        decision = decide(self._site, self._views(), ledger, now, POLICY)
        self._ledger, self._next_change, self._published = decision.ledger, decision.next_change, decision.status

    def _status(self, now: Time) -> Status:
        last = self._published
        return describe(self._site, self._ledger, last.nodes, last.key_state_reason, now, POLICY)

    def _apply(self, event: Event) -> None:
        match event:
            case Plug(node=node, key=key):
                self._inserted[node] = (*self._inserted[node], key)
            case Unplug(node=node, key=key):
                self._inserted[node] = tuple(other for other in self._inserted[node] if other != key)
            case Break(key=key):
                self._broken.add(key)
            case Repair(key=key):
                self._broken.discard(key)
            case Down(node=node):
                self._last_report[node] = self._keys_in(node)
                self._down.add(node)
                self._dark_since = None if self._led else self._dark_since or event.at
            case Up(node=node):
                self._down.discard(node)
                self._ledger = resume(self._ledger, event.at - (self._dark_since or event.at))
                self._dark_since = None
            case Install(license=name) if self._led:
                self._install(self._licences[name], event.at)
            case ReportUsage(hosts=hosts, cpu_sockets=sockets, cpu_cores=cores) if self._led:
                usage = merge(self._ledger.usage, UsageReport(hosts, sockets, cores), event.at)
                self._ledger = replace(self._ledger, usage=usage)

    def _install(self, signed: SignedLicence, now: Time) -> None:
        presence = observe(self._views(), self._ledger, now, POLICY)
        circumstances = Circumstances(self._site, presence, ("simulated",), now)
        outcome = install(signed, self._ledger, circumstances)
        if isinstance(outcome, Installed):
            self._ledger = outcome.ledger

    def _views(self) -> list[NodeView]:
        return [self._view(node) for node in self._site.members]

    def _view(self, node: str) -> NodeView:
        if node in self._down:
            return NodeView(node, node, Visibility.STALE, self._last_report[node])
        return NodeView(node, node, Visibility.LIVE, self._keys_in(node))

    def _keys_in(self, node: str) -> tuple[InsertedKey, ...]:
        if node in self._down:
            return self._last_report[node]
        return tuple(self._read(key) for key in self._inserted[node])

    def _read(self, key: str) -> InsertedKey:
        if key in self._broken:
            return InsertedKey(key, Reading.FAULTY, "it cannot be read")
        if key not in self._preloaded:
            return InsertedKey(key, Reading.FAULTY, "it holds no licence")
        return InsertedKey(key, Reading.OK, licence=self._preloaded[key])


def _sign(story: Story) -> dict[str, SignedLicence]:
    """Sign every licence of a story with a throwaway key and open it again, as a node would."""
    private_key = Ed25519PrivateKey.generate()
    public_key = private_key.public_key().public_bytes_raw()
    vendor = VendorKey(
        kid=key_id(public_key), public_key=public_key, purpose=PURPOSE_LICENCE, valid_from=_BEGINNING_OF_TIME
    )
    keyring = Keyring((vendor,))
    signed = {}
    for number, told in enumerate(story.license):
        try:
            signed[told.name] = open_licence(seal(_licence(told, number, story), vendor.kid, private_key), keyring)
        except LicenceRefused as error:
            raise StoryError(f"license {told.name!r}: {error}") from error
    return signed


_BEGINNING_OF_TIME = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _licence(told: StoryLicence, number: int, story: Story) -> Licence:
    """Return what is signed: valid from the story's start, whenever it was issued.

    The licences of one USB key continue each other in the order of their issue; every request-key licence is a
    lineage of its own.
    """
    binding = KeyBinding(told.key) if told.key else SiteBinding("simulated", ("simulated",), str(number))
    return Licence(
        licence_id=told.name,
        lineage=f"key {told.key}" if told.key else told.name,
        sequence=sorted(story.license, key=lambda other: other.issued).index(told),
        product=PRODUCT,
        name=told.name,
        edition=told.edition,
        issued=told.issued,
        not_before=min(told.issued, story.start),
        expires=told.expires,
        quota=told.quota,
        binding=binding,
        service_expires=told.service_expires,
    )


def _line(at: Time, status: Status) -> dict[str, Any]:
    told = msgspec.to_builtins(status)
    return {
        "at": msgspec.to_builtins(at),
        "keyState": told["keyState"],
        "license": {member: told["license"][member] for member in ("name", "status", "expires")},
        "buffer": told["buffer"],
        "alerts": told["alerts"],
        "restricted": told["restricted"],
        "startAllowed": told["startAllowed"],
    }


def _for_people(line: dict[str, Any]) -> str:
    licence = line["license"]
    words = [
        f"{line['at']:<20}",
        f"{line['keyState']:<8}",
        f"{licence['status']:<7} {licence['name'] or 'no licence'}, expires {licence['expires'] or 'never'}",
    ]
    if line["buffer"]:
        words.append(f"buffer until {line['buffer']['expires']}")
    if line["alerts"]:
        words.append("! " + " ".join(line["alerts"]))
    if line["restricted"]:
        words.append("restricted" if line["startAllowed"] else "restricted, no start")
    return "  ".join(words)


@click.command("simulate")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
def command(file: Path, *, as_json: bool) -> None:
    """Tell the story in FILE (TOML) and print the licence state after every event.

    \b
    nodes = ["a", "b"]                       # or ["a"]
    start = 2026-01-01T00:00:00Z
    [[license]]
    name = "K1"
    key = "K1"                               # preloaded on this USB key; leave out for a request-key licence
    edition = "basic-paid"                   # basic-trial, basic-paid, advanced-paid
    issued = 2026-01-01T00:00:00Z
    expires = 2027-01-01T00:00:00Z
    quota = { hosts = 10 }                   # hosts, cpuSockets, cpuCores
    service_expires = 2026-06-01T00:00:00Z   # optional
    [[event]]
    at = 2026-01-02T00:00:00Z
    do = "plug"                              # plug, unplug, break, repair, down, up, install, usage, observe
    node = "a"
    key = "K1"
    """  # noqa: D301 - \b is click's mark for text that is kept as it is
    try:
        lines = simulate(tomllib.loads(file.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{file}: not a TOML file: {error}") from error
    except RecursionError as error:
        raise click.ClickException(f"{file}: not a story: it is nested too deeply.") from error
    except StoryError as error:
        raise click.ClickException(f"{file}: {error}") from error
    for line in lines:
        click.echo(msgspec.json.encode(line).decode() if as_json else _for_people(line))
