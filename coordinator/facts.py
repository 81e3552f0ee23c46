"""From what is stored to what the law can work with: every value decoded, every licence verified, nothing believed.

A value that cannot be used is a problem with the name of its key. A node's bad report makes that node unknown; a bad
ledger or site stops decisions, because deciding without them would forget. So does a usage or a clock with something
that a newer version added; one that is only damaged is written again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeVar

import msgspec

from cluster.drain import read_drain
from cluster.election import read_candidate
from cluster.keys import Keys, last_part
from cluster.report import MOST_KEYS, Report, ReportedKey
from cluster.store import Entry, View
from cluster.values import BadValue, NewerValue, decode_value, read_message
from coordinator.opened import OpenedLicences
from coordinator.orders import Errand, Order, Restore
from coordinator.published import Clock, Published
from coordinator.roles import NodeRole, Roles
from licensing.envelope import LicenceRefused
from licensing.genuine import judge_key, judge_opened
from licensing.keyring import Keyring
from licensing.ledger import MOST, KeyHistory, Ledger, Site, Usage
from licensing.ledger_version import NO_LEDGER, LedgerVersion
from licensing.licence import KeyBinding, SignedLicence, SiteBinding
from licensing.seen import InsertedKey, NodeView, Reading, Visibility
from licensing.value import Time, is_possible, nearest_possible

T = TypeVar("T", bound=msgspec.Struct)

LONGEST_REASON = 500
LONGEST_NAME = 256
LONGEST_VERSION = 64


class Facts(msgspec.Struct, frozen=True):
    """What is stored at one revision, decoded. `site` and `ledger` are None where they are missing or bad.

    `problems`: what cannot be used. `blocking`: those of them that stop decisions. `newer`: what of all that a newer
    version wrote. `unread`: why the published answer cannot be used, empty where it can. `orders`, `restores`: the
    inbox, in the order in which it was filled. `sightings`: which ledger the nodes have seen. `roles`: who is drained,
    who holds the virtual IP and who runs which version.
    """

    site: Site | None
    ledger: Ledger | None
    views: tuple[NodeView, ...]
    clock: Clock | None
    published: Published | None
    problems: tuple[str, ...]
    blocking: tuple[str, ...]
    newer: tuple[str, ...] = ()
    unread: str = ""
    orders: tuple[Waiting, ...] = ()
    restores: tuple[WaitingRestore, ...] = ()
    sightings: tuple[Sighting, ...] = ()
    roles: Roles = Roles()


class Sighting(msgspec.Struct, frozen=True):
    """The newest ledger that a node's agent says to have seen."""

    node: str
    name: str
    ledger: LedgerVersion


class Waiting(msgspec.Struct, frozen=True):
    """An order in the inbox that is carried out on the site as it is; None for one that cannot be read.

    `newer`: it cannot be, because a newer version gave it.
    """

    entry: Entry
    order: Order[Errand] | None
    newer: bool = False


class WaitingRestore(msgspec.Struct, frozen=True):
    """An order in the inbox to restore a backup."""

    entry: Entry
    order: Order[Restore]


class _Bad(NamedTuple):
    """What is remembered of a value that cannot be used: why, and no exception, which would hold on to old views."""

    why: str
    newer: bool = False


class _Told(msgspec.Struct, frozen=True):
    """What a report says, for the law and beside it."""

    view: NodeView
    ledger: LedgerVersion
    watches_vip: bool
    serving: bool
    version: str


Blocks = Literal["always", "if newer", "never"]
"""When a value that cannot be used stops decisions."""


@dataclass
class _Trouble:
    """What cannot be used of one view."""

    problems: list[str] = field(default_factory=list)
    blocking: list[str] = field(default_factory=list)
    newer: list[str] = field(default_factory=list)

    def note(self, bad: BadValue, blocks: Blocks) -> None:
        """Add a value that cannot be used."""
        newer = isinstance(bad, NewerValue)
        blocking = blocks == "always" or (newer and blocks == "if newer")
        (self.blocking if blocking else self.problems).append(str(bad))
        self.note_newer(bad)

    def note_newer(self, bad: BadValue) -> None:
        """Add it to what a newer version wrote, if one did."""
        if isinstance(bad, NewerValue) and str(bad) not in self.newer:
            self.newer.append(str(bad))


class FactReader:
    """Reads facts from views of the store.

    What did not change is not decoded or verified again: the same view gives the same facts, and a value of which the
    bytes are the same gives what they gave before, as long as views have it.
    """

    def __init__(self, keys: Keys, keyring: Keyring) -> None:
        self._keys = keys
        self._keyring = keyring
        self._known: dict[str, tuple[int, bytes, object]] = {}
        self._opened = OpenedLicences(keyring)
        self._last: tuple[View, Facts] | None = None

    def read(self, view: View) -> Facts:
        """Decode everything the law needs from one view."""
        if self._last is None or self._last[0] is not view:
            self._last = (view, self._read(view))
        return self._last[1]

    def _read(self, view: View) -> Facts:
        trouble, unread = _Trouble(), _Trouble()
        site = self._value(view, self._keys.site, self._site, trouble, "always")
        ledger = self._value(view, self._keys.ledger, self._ledger, trouble, "always")
        usage = self._value(view, self._keys.usage, self._usage, trouble, "if newer")
        clock = self._value(view, self._keys.clock, self._clock, trouble, "if newer")
        published = self._value(view, self._keys.status, self._published, unread)
        self._value(view, self._keys.leader, read_candidate, trouble)  # the election reads it; here it is judged
        roles = self._roles(view, site, trouble)
        views = () if site is None else tuple(self._node(view, node, trouble) for node in site.members)
        if ledger is None and self._keys.ledger not in view.entries:
            ledger = Ledger()
        orders, restores = self._inbox(view)
        self._forget(view)
        self._opened.keep(ledger, views)
        return Facts(
            site=site,
            ledger=None if ledger is None else msgspec.structs.replace(ledger, usage=usage),
            views=views,
            clock=clock,
            published=published,
            problems=(*unread.problems, *trouble.problems, *trouble.blocking, *self._strangers(view, site)),
            blocking=tuple(trouble.blocking),
            newer=(*unread.newer, *trouble.newer),
            unread=" ".join(unread.problems),
            orders=orders,
            restores=restores,
            sightings=tuple(self._sightings(view, site)),
            roles=roles,
        )

    def _inbox(self, view: View) -> tuple[tuple[Waiting, ...], tuple[WaitingRestore, ...]]:
        """The orders in the inbox, and apart from them those to restore a backup."""
        orders, restores = list[Waiting](), list[WaitingRestore]()
        for entry in sorted(view.under(self._keys.inboxes), key=lambda entry: entry.create_revision):
            trouble = _Trouble()
            order = self._value(view, entry.key, self._order, trouble)
            if order is None:
                orders.append(Waiting(entry, None, bool(trouble.newer)))
            elif isinstance(order.errand, Restore):
                restores.append(WaitingRestore(entry, Order(order.origin, order.errand, order.fresh)))
            else:
                orders.append(Waiting(entry, Order(order.origin, order.errand, order.fresh)))
        return tuple(orders), tuple(restores)

    def _order(self, entry: Entry) -> Order[Errand | Restore]:
        order = decode_value(entry.key, entry.value, Order[Errand | Restore])
        _check_times(entry.key, order.origin.at)
        return order

    def _value(
        self, view: View, key: str, decode: Callable[[Entry], T], trouble: _Trouble, blocks: Blocks = "never"
    ) -> T | None:
        try:
            return self._cached(view.entries[key], decode) if key in view.entries else None
        except BadValue as bad:
            trouble.note(bad, blocks)
            return None

    def _cached(self, entry: Entry, decode: Callable[[Entry], T]) -> T:
        """Decode an entry once; a bad one is bad until it is written again.

        The bytes are compared too, because a store that was restored uses its revisions again.
        """
        known = self._known.get(entry.key)
        if known is None or known[:2] != (entry.mod_revision, entry.value):
            known = (entry.mod_revision, entry.value, _attempt(entry, decode))
            self._known[entry.key] = known
        if isinstance(known[2], _Bad):
            raise (NewerValue if known[2].newer else BadValue)(entry.key, known[2].why)
        return known[2]  # type: ignore[return-value]

    def _forget(self, view: View) -> None:
        for key in self._known.keys() - view.entries.keys():
            del self._known[key]

    def _site(self, entry: Entry) -> Site:
        site = decode_value(entry.key, entry.value, Site)
        if site.site_id != self._keys.site_id:
            raise BadValue(entry.key, f"is that of site {site.site_id}, not of {self._keys.site_id}")
        _check_times(entry.key, site.trial_start)
        if len(set(site.members)) < len(site.members):
            raise BadValue(entry.key, "names a member twice")
        for member in site.members:
            self._keys.node(member)
        return site

    def _usage(self, entry: Entry) -> Usage:
        usage = decode_value(entry.key, entry.value, Usage)
        _check_times(entry.key, usage.reported_at)
        return usage

    def _clock(self, entry: Entry) -> Clock:
        clock = decode_value(entry.key, entry.value, Clock)
        _check_times(entry.key, clock.high_water)
        return clock

    def _published(self, entry: Entry) -> Published:
        published = read_message(entry.key, entry.value, Published)
        if published.site_id != self._keys.site_id:
            raise BadValue(entry.key, f"is that of site {published.site_id}, not of {self._keys.site_id}")
        _check_times(entry.key, published.as_of)
        return published

    def _ledger(self, entry: Entry) -> Ledger:
        ledger = decode_value(entry.key, entry.value, Ledger)
        restored = (each.at for each in ledger.restored)
        _check_times(entry.key, *ledger.missing_since.values(), *_times_of(ledger.keys), *restored)
        if max(ledger.sequence, ledger.record_count) > MOST:
            text = f"counts {ledger.sequence} changes and {ledger.record_count} records, which cannot be"
            raise BadValue(entry.key, text)
        for signed in ledger.installed:
            self._verify(entry.key, signed, None)
        for history in ledger.keys:
            self._verify(entry.key, history.signed, history.key_id)
            if history.pending is not None:
                self._verify(entry.key, history.pending, history.key_id)
        if ledger.in_use is not None and all(history.key_id != ledger.in_use for history in ledger.keys):
            raise BadValue(entry.key, f"has no history of the key in use, {ledger.in_use}")
        return ledger

    def _verify(self, key: str, signed: SignedLicence, key_id: str | None) -> None:
        """Refuse a licence that is not the vendor's, or not for this USB key or, without one, for this site."""
        try:
            genuine = self._opened.open(signed.file)
        except LicenceRefused as refused:
            raise BadValue(key, f"holds a licence that the vendor did not sign: {refused}") from refused
        if genuine.licence != signed.licence:
            raise BadValue(key, f"holds the licence {signed.licence.name}, which is not what its file says")
        match genuine.licence.binding:
            case KeyBinding(key_id=bound_to) if key_id is not None and bound_to == key_id:
                return
            case SiteBinding(site_id=bound_to) if key_id is None and bound_to == self._keys.site_id:
                return
        raise BadValue(key, f"holds the licence {signed.licence.name}, which is bound to something else")

    def _node(self, view: View, node: str, trouble: _Trouble) -> NodeView:
        live, last = view.entries.get(self._keys.node(node)), view.entries.get(self._keys.last_seen(node))
        entry = live or last
        if entry is None:
            return NodeView(node, node, Visibility.UNKNOWN, problem="It has never reported.")
        try:
            told = self._cached(entry, self._report)
        except BadValue as bad:
            trouble.note_newer(bad)
            return NodeView(node, node, Visibility.UNKNOWN, problem=f"Its report cannot be used: {bad}")
        return msgspec.structs.replace(told.view, visibility=Visibility.LIVE if live else Visibility.STALE)

    def _roles(self, view: View, site: Site | None, trouble: _Trouble) -> Roles:
        return Roles(tuple(self._role(view, node, trouble) for node in (site.members if site else ())))

    def _role(self, view: View, node: str, trouble: _Trouble) -> NodeRole:
        live, last = view.entries.get(self._keys.node(node)), view.entries.get(self._keys.last_seen(node))
        drained = self._value(view, self._keys.drain(node), read_drain, trouble) is not None
        entry = live or last
        try:
            told = self._cached(entry, self._report) if entry else None
        except BadValue:
            told = None
        if told is None:
            return NodeRole(node, node, live=False, drained=drained)
        name, vip = told.view.name, told.view.vip
        return NodeRole(node, name, live is not None, vip, told.watches_vip, told.serving, drained, told.version)

    def _sightings(self, view: View, site: Site | None) -> Iterator[Sighting]:
        """What live reports say of the ledger; while the site is unknown everybody is heard, for there are no members.

        Only live ones: a last report of a node that is gone may be as old as the store, and nobody could act on it.
        """
        for entry in view.under(self._keys.nodes):
            node = last_part(entry.key)
            if site is not None and node not in site.members:
                continue
            try:
                told = self._cached(entry, self._report)
            except BadValue:
                continue
            yield Sighting(node, told.view.name, told.ledger)

    def _report(self, entry: Entry) -> _Told:
        report = read_message(entry.key, entry.value, Report)
        if report.node != last_part(entry.key):
            raise BadValue(entry.key, f"is a report of node {report.node}")
        if len(report.keys) > MOST_KEYS:
            raise BadValue(entry.key, f"names {len(report.keys)} USB keys; {MOST_KEYS} are allowed")
        view = NodeView(
            node=report.node,
            name=report.name[:LONGEST_NAME],
            visibility=Visibility.LIVE,
            keys=tuple(self._key(key) for key in report.keys),
            vip=report.vip,
            reported_at=nearest_possible(report.written_at),  # its clock may lie, its keys still count
            fingerprint=report.fingerprint.value,
            abandoned_readers=report.abandoned_readers,
        )
        seen = report.ledger if report.ledger.sequence <= MOST else NO_LEDGER
        return _Told(view, seen, report.watches_vip, report.serving, _quotable(report.version[:LONGEST_VERSION]))

    def _key(self, key: ReportedKey) -> InsertedKey:
        """Judge a key again from what it holds and proved; an agent's word that it is good counts for nothing."""
        if key.reading is Reading.PENDING and key.read_by is None:
            return InsertedKey(key.key_id, Reading.FAULTY, "its node reads it without a deadline")
        if key.reading is not Reading.OK:
            return InsertedKey(key.key_id, key.reading, key.reason[:LONGEST_REASON], read_by=key.read_by)
        ours = key.challenge if key.challenge is not None and key.challenge.site_id == self._keys.site_id else None
        file = key.licence_file or b""
        opened = self._opened.known(file)
        if opened is not None:
            judged = judge_opened(opened, key.key_id, ours, key.proof)
        else:
            judged = judge_key(self._keyring, key.key_id, file, ours, key.proof)
        proved = ours if judged.assurance == "proven" else None
        return InsertedKey(key.key_id, judged.reading, judged.reason[:LONGEST_REASON], judged.signed, proved=proved)

    def _strangers(self, view: View, site: Site | None) -> tuple[str, ...]:
        members = site.members if site else ()
        strangers = (e.key for e in view.under(self._keys.nodes) if site and last_part(e.key) not in members)
        return tuple(f"{key}: reports but is not a member of this site" for key in strangers)


def _attempt(entry: Entry, decode: Callable[[Entry], T]) -> T | _Bad:
    """Decode; whatever is wrong with a value, it harms nothing but that value."""
    try:
        return decode(entry)
    except BadValue as bad:
        return _Bad(_quotable(bad.why), isinstance(bad, NewerValue))
    except Exception as error:  # noqa: BLE001 - anybody may have written it, and it must not stop the coordinators
        return _Bad(_quotable(f"cannot be used: {error!r}"))


def _quotable(text: str) -> str:
    """Return one short printable line: the text may quote what anyone could have written."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:LONGEST_REASON])


def _times_of(histories: tuple[KeyHistory, ...]) -> Iterator[Time]:
    for history in histories:
        yield from (at for at in (history.out_since, history.last_removal, history.buffer_until) if at is not None)


def _check_times(key: str, *times: Time) -> None:
    """Refuse times with which the law's sums would leave the calendar."""
    for at in times:
        if not is_possible(at):
            raise BadValue(key, f"holds the time {at.isoformat()}, which cannot be")
