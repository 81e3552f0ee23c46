"""What is known of the clocks of other machines, and what to say of clocks that are wrong.

A reading is noted with the boot clock of this machine at the moment when it came, and goes on from there: what is held
says nothing new, but a clock that nobody sets runs on. An agent reports anew when its clock is set. Does no I/O: the
coordinators' mirror brings the reports, `coordinator.clock_watch` asks the members.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from cluster.pulse import Pulse
from coordinator.clock import EffectiveClock
from coordinator.clocks_agree import Shown, effective
from coordinator.notices import Notice
from licensing.seen import NodeView, Visibility
from licensing.status import Alert
from licensing.value import Time

KEEP = 90.0
"""Seconds for which what a member said is used."""
IN_DOUBT = 2.0
"""Seconds for which a decision is put off at most while the members are asked for the first time."""
BEHIND = dt.timedelta(seconds=10)
"""By how much this node's clock may be behind effective time before the site is told."""
AHEAD_SENTENCE = (
    "The clock of node {name} is ahead by about {amount}. No other clock confirms that, so it is not believed: set it, "
    "and let chrony keep it right."
)
BEHIND_SENTENCE = (
    "The clock of node {name} is behind the site's time by about {amount}. Time does not go back: set the clock, and "
    "let chrony keep it right. If the clocks of all nodes are right, repair the stored time as docs/time.md says."
)


class Reading(NamedTuple):
    """What a clock showed at `at` on our boot clock; `fresh`: that was then, and not at some time before."""

    shows: Time
    at: float
    fresh: bool = True

    def by(self, boot: float) -> Time:
        """Return what the clock shows by now, unless somebody has set it."""
        return self.shows + dt.timedelta(seconds=boot - self.at)


class _Node(NamedTuple):
    name: str
    reading: Reading


@dataclass
class Clocks:
    """One coordinator's knowledge of other clocks; `node` and `name` are its own node's.

    `site_size`: how many nodes the site has. `asks`: whether there are etcd members on other machines, which are asked
    when a clock looks wrong.
    """

    clock: EffectiveClock
    node: str = ""
    name: str = ""
    site_size: int = 0
    asks: bool = False
    moved: Pulse = field(default_factory=Pulse)
    _nodes: dict[str, _Node] = field(default_factory=dict, init=False)
    _members: dict[str, Reading] = field(default_factory=dict, init=False)
    _told: dict[tuple[Alert, str], dt.timedelta] = field(default_factory=dict, init=False)
    _unasked: bool = field(default=False, init=False)
    _wrong_since: float | None = field(default=None, init=False)
    _session: float | None = field(default=None, init=False)

    def heard(self, views: Sequence[NodeView], session: float | None) -> None:
        """Take note of the live reports.

        `session` is the same as long as the store is followed without a gap, None while it is not: a report that is
        new within a session was written just now.
        """
        boot, before = self.clock.boot(), self._nodes
        as_it_came = session is not None and session == self._session
        self._nodes, self._session, self.site_size = {}, session, len(views) or self.site_size
        for view in views:
            if view.node == self.node or view.visibility is not Visibility.LIVE or view.reported_at is None:
                continue
            known = before.get(view.node)
            if known is None or known.reading.shows != view.reported_at:
                known = _Node(view.name, Reading(view.reported_at, boot, as_it_came))
            self._nodes[view.node] = known

    def asked(self, members: Mapping[str, Time]) -> None:
        """Take note of what the clocks of etcd members on other machines show now, by machine."""
        boot, self._unasked = self.clock.boot(), False
        self._members = {machine: Reading(shows, boot) for machine, shows in members.items()}

    def judge(self) -> None:
        """Set effective time by all that is known; the clocks of the whole site may show that it is later."""
        clock, boot = self.clock, self.clock.boot()
        now = clock.now()
        shown = Shown(
            held=None if clock.first_mark is None else now,
            own=clock.wall(),
            other=next((node.reading.by(boot) for node in self._nodes.values()), None),
            members=tuple(each.by(boot) for each in self._members.values() if boot - each.at <= KEEP),
            alone=self.site_size == 1 and not self.asks and clock.booted_since,
        )
        late = effective(shown, clock.threshold)
        if shown.held is None and late == shown.own:
            return  # that is this clock's word alone, and may yet be found wrong when the mark is read
        if late != now:
            clock.saw(late)
        if not self.wrong:
            self._wrong_since, self._unasked = None, False
        elif self._wrong_since is None:
            self._wrong_since, self._unasked = boot, True

    @property
    def wrong(self) -> bool:
        """Whether some clock of the site is far from effective time, so that the members should be asked."""
        ahead = self.clock.ahead
        own = ahead > self.clock.threshold or -ahead > BEHIND
        return own or any(abs(self._ahead(node)) > self.clock.threshold for node in self._nodes.values())

    @property
    def to_ask(self) -> bool:
        """Whether the members were not asked since some clock looked wrong."""
        return self.asks and self._unasked

    @property
    def in_doubt(self) -> bool:
        """Whether the members' answer is awaited just now, in the first seconds after the own clock looked wrong.

        Whoever decides does better to look again in a moment: what happened while a site was off must not count as
        seen.
        """
        if not self.to_ask or self._wrong_since is None or not self.clock.quarantined:
            return False
        return self.clock.boot() - self._wrong_since < IN_DOUBT

    @property
    def own_notices(self) -> tuple[Notice, ...]:
        """What to tell of this node's clock."""
        return tuple(self._notices(self.node, self.name, self.clock.ahead, BEHIND))

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What to tell of all clocks that are known."""
        found = [*self.own_notices]
        for uuid, node in self._nodes.items():
            found += self._notices(uuid, node.name, self._ahead(node), self.clock.threshold)
        return tuple(found)

    def _ahead(self, node: _Node) -> dt.timedelta:
        """By how much a node's clock is ahead of effective time.

        A report that claims to come from the future is wrong however old it is; one of long ago says nothing unless it
        has just been written.
        """
        ahead = node.reading.by(self.clock.boot()) - self.clock.now()
        return ahead if node.reading.fresh else max(ahead, dt.timedelta())

    def _notices(self, uuid: str, name: str, ahead: dt.timedelta, behind: dt.timedelta) -> Iterator[Notice]:
        for alert, amount, limit, sentence in (
            (Alert.CLOCK_ROLLBACK, -ahead, behind, BEHIND_SENTENCE),
            (Alert.CLOCK_QUARANTINED, ahead, self.clock.threshold, AHEAD_SENTENCE),
        ):
            told = self._tell((alert, uuid), amount, limit)
            if told is not None:
                yield Notice(alert, sentence.format(name=name, amount=amount_of(told)))

    def _tell(self, key: tuple[Alert, str], amount: dt.timedelta, limit: dt.timedelta) -> dt.timedelta | None:
        """Return the amount to tell, None for nothing; what was told stands until it is notably wrong.

        Without that a clock right at a limit, or between two figures, would be news with every look.
        """
        told = self._told.pop(key, None)
        if amount <= (limit if told is None else limit * 0.9):
            return None
        if told is None or abs(amount - told) > told / 10:
            told = amount
        self._told[key] = told
        return told


def amount_of(time: dt.timedelta) -> str:
    """Return a length of time in one whole figure, of the largest unit of which it has at least two."""
    seconds = int(time.total_seconds())
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} seconds"
