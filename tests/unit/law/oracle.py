"""A second, literal reading of the licensing rules, to hold the product's own against.

It walks a story instant by instant, remembers what the rules say a site remembers, and prints the lines that
`twinkey simulate` should print. It imports nothing of the product and shares no idea with it but the sentences of the
rules. Where a sentence leaves room, a comment that starts with `reading:` says which way it was taken.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tests.unit.law.world import Event, Line, Story, World, rfc3339

SETTLE = timedelta(seconds=60)
HOLD = timedelta(hours=24)
TRIAL = timedelta(days=30)
FIRST_BUFFER = timedelta(days=30)
LATER_BUFFER = timedelta(days=60)
REMOVALS_APART = timedelta(days=60)
EXPIRING = timedelta(days=15)
SERVICE_EXPIRING = timedelta(days=30)
BUFFER_ENDING = timedelta(days=7)
UNITS = ("hosts", "cpuSockets", "cpuCores")


def expected(story: Story) -> list[Line]:
    """Return the line due after every event of the story, in order; `alerts` in the order of the documentation."""
    site = Site(story)
    lines = []
    for event in story.get("event", []):
        site.wait_until(event["at"])
        site.happen(event)
        site.decide(event["at"])
        lines.append(site.line())
    return lines


def key_state(counts: list[int], lone_key_works: bool, used_before: bool) -> str:  # noqa: FBT001 (a table's columns)
    """Return the state of the USB key for the number of keys inserted on each node."""
    least, most = (min(counts), max(counts)) if len(counts) > 1 else (0, counts[0])
    if most == 0:
        return "Missing" if used_before else "None"
    if least == 0 and most == 1:
        return "Ready" if lone_key_works else "Fault"
    return "Abnormal" if least == 1 else "Fault"


class Site:
    """Everything a site remembers, and the instant it has reached."""

    def __init__(self, story: Story) -> None:
        self.world = World(story)
        self.licences: list[dict[str, Any]] = story.get("license", [])
        self.now: datetime = story["start"]
        self.trial = {
            "name": "Basic Edition - Trial",
            "issued": story["start"],
            "expires": story["start"] + TRIAL,
            "quota": {"hosts": 1},
        }
        self.trial_over = False
        self.installed: list[dict[str, Any]] = []
        self.usage: dict[str, int] = {}
        self.state = "None"
        self.clone = False
        self.reports: dict[str, dict[str, bool]] = {node: {} for node in story["nodes"]}
        self.missing_since: dict[str, datetime] = {}
        self.dark_since: datetime | None = None
        self.in_use: str | None = None
        self.out_since: dict[str, datetime] = {}
        self.settled: set[str] = set()
        self.last_removal: dict[str, datetime] = {}
        self.buffer_until: dict[str, datetime] = {}
        self.running: dict[str, datetime | None] = {}

    # -- the passing of time ---------------------------------------------------------------------------------------

    def wait_until(self, when: datetime) -> None:
        """Decide at every instant at which something may fall due, up to and including `when`."""
        # reading: what falls due at the very instant of an event takes effect before that event.
        while due := [instant for instant in self.instants() if self.now < instant <= when]:
            self.decide(min(due))
        self.now = when

    def instants(self) -> list[datetime]:
        """List the instants at which the passing of time alone may change what is remembered."""
        expiries = [licence["expires"] for licence in self.licences]
        settles = [since + SETTLE for since in self.out_since.values()]
        holds = [since + HOLD for since in self.missing_since.values()]
        buffers = [until for until in self.running.values() if until]
        return [self.trial["expires"], *expiries, *settles, *holds, *buffers]

    # -- what people do --------------------------------------------------------------------------------------------

    def happen(self, event: Event) -> None:
        """Take in one event."""
        self.world.happen(event)
        # reading: with every node down there is nobody to take an upload or a usage report: both are lost.
        if self.world.up and event["do"] == "usage":
            self.usage |= {unit: event[unit] for unit in UNITS if unit in event}
        if self.world.up and event["do"] == "install":
            self.install(next(one for one in self.licences if one["name"] == event["license"]))

    def install(self, licence: dict[str, Any]) -> None:
        """Install a licence unless it has expired or is bound to a key that is not inserted or not read."""
        # reading: a key in the held report of a lost node is inserted here too; one that cannot be read is "not seen".
        inserted = {key for report in self.view().values() for key, works in report.items() if works}
        refused = self.now >= licence["expires"] or ("key" in licence and licence["key"] not in inserted)
        if not refused and licence not in self.installed:
            self.installed.append(licence)
            # reading: a key's licence ends the trial when the key comes into use; in a Fault it has to wait for that.
            self.trial_over = self.trial_over or "key" not in licence

    # -- what a leader decides -------------------------------------------------------------------------------------

    def decide(self, now: datetime) -> None:
        """Look at the site as the leader of that instant does; without a running node nobody decides."""
        self.now = now
        if not self.world.up:
            self.dark_since = self.dark_since or now
            return
        self.leave_out_the_dark()
        self.take_reports()
        view = self.view()
        keys = {key: works for report in view.values() for key, works in report.items()}
        counts = [len(report) for report in view.values()]
        self.state = key_state(counts, all(keys.values()), self.in_use is not None)
        # reading: the table decides the state of a clone too; two or more keys on both nodes stay a Fault.
        self.clone = sum(counts) > len(keys)
        serving = [key for key, works in keys.items() if works and self.state in ("Ready", "Abnormal")]
        before = self.in_use
        self.choose_key(serving)
        self.follow_removals(serving, {key for key in (before, self.in_use) if key is not None})
        self.choose_key(serving)  # a removal that settled late may have ended the buffer too
        self.reports |= {node: {} for node in self.missing_since if self.lapsed(node)}

    def leave_out_the_dark(self) -> None:
        """Count no time for which nobody was there to miss a node: a site that was wholly off loses nothing."""
        if self.dark_since is not None:
            dark = self.now - self.dark_since
            self.missing_since = {node: since + dark for node, since in self.missing_since.items()}
            self.dark_since = None

    def take_reports(self) -> None:
        """Renew the report of every running node; hold the last one of the others, less what is seen live."""
        for node in self.world.nodes:
            if node in self.world.up:
                self.reports[node] = {key: self.world.readable(key) for key in self.world.plugged[node]}
                self.missing_since.pop(node, None)
            else:
                self.missing_since.setdefault(node, self.now)
        for node in [node for node in self.missing_since if not self.lapsed(node)]:
            # reading: once dropped from a held report, a key does not come back to it.
            self.reports[node] = {key: works for key, works in self.reports[node].items() if not self.world.seen(key)}

    def view(self) -> dict[str, dict[str, bool]]:
        """Return the keys that count as inserted on each node, and whether each can be read."""
        return {node: {} if self.lapsed(node) else report for node, report in self.reports.items()}

    def lapsed(self, node: str) -> bool:
        """Say whether a missing node's report is held no longer."""
        return node in self.missing_since and self.now >= self.missing_since[node] + HOLD

    def choose_key(self, serving: list[str]) -> None:
        """Keep the key in use while it serves with a valid licence; else let the best valid one take over."""
        if self.in_use in serving and self.valid(self.licence_of(self.in_use)):
            self.trial_over = True
            return
        able = [key for key in serving if self.valid(self.licence_of(key))]
        if able:
            self.in_use = self.newest(able)
            self.trial_over = True
        elif serving and self.in_use not in serving and not self.stands():
            # reading: an inserted genuine key is in use, though its licence has expired, where the key in use before
            # is neither there nor stood in for: among licences that have all expired an inserted key's shows.
            self.in_use = self.newest(serving)

    def stands(self) -> bool:
        """Say whether the licence of the key in use can be used, by itself or by its buffer."""
        return self.in_use is not None and self.key_in_force(self.in_use)[0]

    def newest(self, keys: list[str]) -> str:
        """Return the key with the newest issue date, the lowest name among equals."""
        newest = max(self.licence_of(key)["issued"] for key in keys)
        return min(key for key in keys if self.licence_of(key)["issued"] == newest)

    def follow_removals(self, serving: list[str], used: set[str]) -> None:
        """Date the beginning of every removal of a key in use, and settle those that have lasted long enough."""
        for key in sorted(used | set(self.out_since)):
            if key in serving:
                self.out_since.pop(key, None)
                self.settled.discard(key)
                self.running.pop(key, None)
                continue
            # reading: a removal lasts until this key serves again, whatever other key was shown meanwhile.
            since = self.out_since.setdefault(key, self.lost_since(key))
            # reading: a swap settles like any removal: put back within the settling time, it never happened.
            if key not in self.settled and self.now >= since + SETTLE:
                self.remove(key, since)

    def lost_since(self, key: str) -> datetime:
        """Return when the loss of a key was first seen: now, or when the node that held it was first missed."""
        # reading: only the lost node's own keys are dated back; a Fault that its loss uncovers begins now.
        dates = [since for node, since in self.missing_since.items() if key in self.reports[node]]
        return min([since for since in dates if self.now >= since + HOLD], default=self.now)

    def remove(self, key: str, since: datetime) -> None:
        """Settle a removal, dated at its beginning, and grant the buffer that the key's history allows."""
        self.settled.add(key)
        last = self.last_removal.get(key)
        self.last_removal[key] = since
        self.running[key] = None
        if since >= self.licence_of(key)["expires"]:
            return
        if last is None:
            self.buffer_until[key] = since + FIRST_BUFFER
        elif since - last >= REMOVALS_APART:
            self.buffer_until[key] = since + LATER_BUFFER
        # reading: a key whose earlier removals granted nothing (licence expired then) has nothing to inherit.
        self.running[key] = self.buffer_until.get(key)

    # -- licences --------------------------------------------------------------------------------------------------

    def of_key(self, key: str) -> list[dict[str, Any]]:
        """List the licences of a key: the preloaded one and those installed later."""
        first = next(one for one in self.licences if one.get("key") == key)
        return [first, *(one for one in self.installed if one.get("key") == key)]

    def licence_of(self, key: str) -> dict[str, Any]:
        """Return the licence that stands for a key: the newest, the later in the story among equals."""
        # reading: the licences of one key continue each other, so a newer one replaces an older one, valid or not.
        return max(self.of_key(key), key=lambda one: (one["issued"], self.licences.index(one)))

    def valid(self, licence: dict[str, Any]) -> bool:
        """Say whether a licence's own term still runs."""
        return self.now < licence["expires"]

    def in_force(self) -> tuple[dict[str, Any] | None, bool, datetime | None]:
        """Return the licence in force, whether it can be used, and the end of the buffer that stands in for it."""
        ranked: list[tuple[bool, bool, dict[str, Any], datetime | None]] = []
        if not self.trial_over:
            ranked.append((self.valid(self.trial), False, self.trial, None))
        ranked += [(self.valid(one), False, one, None) for one in self.installed if "key" not in one]
        if self.in_use is not None:
            usable, licence, end = self.key_in_force(self.in_use)
            # reading: a key that was removed or is at fault is no "inserted key" against a request-key licence.
            ranked.append((usable, self.in_use not in self.settled, licence, end))
        if not ranked:
            return None, False, None
        usable, _, licence, end = max(ranked, key=lambda one: (one[0], one[1], one[2]["issued"]))
        # reading: a buffer is shown only while the licence in force is the one that it stands in for.
        return licence, usable, end

    def key_in_force(self, key: str) -> tuple[bool, dict[str, Any], datetime | None]:
        """Return whether a key's licence can be used, the licence, and the capped end of the buffer it was granted."""
        licence = self.licence_of(key)
        if key not in self.settled:
            return self.valid(licence), licence, None
        until = self.running[key]
        end = min(until, licence["expires"]) if until else None
        return end is not None and self.now < end, licence, end

    # -- what is printed -------------------------------------------------------------------------------------------

    def line(self) -> Line:
        """Print the present instant."""
        licence, usable, buffer = self.in_force()
        over = self.over_quota(licence)
        return {
            "at": rfc3339(self.now),
            "keyState": self.state,
            "license": {
                "name": licence and licence["name"],
                "status": "Valid" if usable else "Expired",
                "expires": licence and rfc3339(licence["expires"]),
            },
            "buffer": {"expires": rfc3339(buffer)} if buffer else None,
            "alerts": self.alerts(licence, usable, buffer),
            "restricted": over or not usable,
            "startAllowed": not over,
        }

    def over_quota(self, licence: dict[str, Any] | None) -> bool:
        """Say whether the reported usage is above the quota in any licensed unit."""
        quota = licence["quota"] if licence else {}
        return any(self.usage.get(unit, 0) > limit for unit, limit in quota.items())

    def alerts(self, licence: dict[str, Any] | None, usable: bool, buffer: datetime | None) -> list[str]:  # noqa: FBT001
        """List the alerts of the present instant."""
        left = licence["expires"] - self.now if licence else timedelta()
        service = licence.get("service_expires") if licence else None
        raised = {
            # reading: it looks at the licence's own expiry only, so one whose buffer is over may be "to expire" too.
            "expiring": timedelta() < left < EXPIRING,
            # reading: the service term is a term of its own; once it has ended it no longer "ends within 30 days".
            "service-expiring": service is not None and timedelta() < service - self.now <= SERVICE_EXPIRING,
            "expired": not usable,
            "quota-exceeded": self.over_quota(licence),
            # reading: the alerts of the key follow the displayed state, whichever licence is in force.
            "key-missing": self.state == "Missing",
            "key-abnormal": self.state == "Abnormal",
            "key-fault": self.state == "Fault",
            "clone-suspected": self.clone,
            # reading: a buffer that has run out is no longer ending.
            "buffer-ending": buffer is not None and timedelta() < buffer - self.now < BUFFER_ENDING,
        }
        return [alert for alert, on in raised.items() if on]
