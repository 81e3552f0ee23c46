"""Where things are in the store: the paths of one site.

Knows names only, not what is stored under them. Every part that comes from outside is checked here, so that no
identifier can reach out of its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
RECORD_NUMBERS = 10**12
"""Numbers of records are below this, so that they can be padded."""


class BadKey(ValueError):  # noqa: N818 - it says what it is
    """An identifier cannot be part of a path; the text says which and what is allowed."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The paths under `/twinkey/<site_id>/`.

    Raises:
        BadKey: the site id, or an id given to a method, has other characters than letters, digits and `. _ -`, does not
            begin with a letter or digit, or is longer than 128.
    """

    site_id: str

    def __post_init__(self) -> None:
        _segment("site id", self.site_id)

    @property
    def prefix(self) -> str:
        """All that belongs to the site."""
        return f"/twinkey/{self.site_id}/"

    @property
    def nodes(self) -> str:
        """Prefix of the reports that are held by their agents' leases."""
        return self.prefix + "nodes/"

    def node(self, uuid: str) -> str:
        """Report of a node, under the lease of its agent."""
        return self.nodes + _segment("node uuid", uuid)

    @property
    def lastseen(self) -> str:
        """Prefix of the last reports, which no lease holds."""
        return self.prefix + "lastseen/"

    def last_seen(self, uuid: str) -> str:
        """Return where a node's last report is kept when its agent is gone."""
        return self.lastseen + _segment("node uuid", uuid)

    def reread(self, uuid: str) -> str:
        """Return where a node's agent is asked to read its USB keys again."""
        return self.prefix + "reread/" + _segment("node uuid", uuid)

    @property
    def drains(self) -> str:
        """Prefix of the marks of nodes that are about to be serviced."""
        return self.prefix + "drain/"

    def drain(self, uuid: str) -> str:
        """Return where it is marked that a node is about to be serviced."""
        return self.drains + _segment("node uuid", uuid)

    @property
    def leader(self) -> str:
        """Who leads, under the leader's lease; its create-revision is the epoch."""
        return self.prefix + "leader"

    @property
    def site(self) -> str:
        """Identity, members, trial start and nonces."""
        return self.prefix + "site"

    @property
    def clock(self) -> str:
        """The high-water mark of time."""
        return self.prefix + "clock"

    @property
    def ledger(self) -> str:
        """What the law remembers."""
        return self.prefix + "ledger"

    @property
    def usage(self) -> str:
        """The usage last reported, by whom and when."""
        return self.prefix + "usage"

    @property
    def status(self) -> str:
        """The published answer."""
        return self.prefix + "status"

    @property
    def inboxes(self) -> str:
        """Prefix of the uploads that wait for a decision."""
        return self.prefix + "inbox/"

    def inbox(self, upload: str) -> str:
        """One upload that waits for a decision."""
        return self.inboxes + _segment("upload id", upload)

    @property
    def outcomes(self) -> str:
        """Prefix of what became of uploads."""
        return self.prefix + "outcome/"

    def outcome(self, upload: str) -> str:
        """Return where the outcome of one upload is written."""
        return self.outcomes + _segment("upload id", upload)

    @property
    def records(self) -> str:
        """Prefix of the records, in order of number, and of their other orders, which come after all numbers."""
        return self.prefix + "records/"

    def record(self, number: int) -> str:
        """One record; numbers begin at 0 and are padded so that the order of keys is the order of numbers."""
        return self.records + _padded(number)

    @property
    def records_end(self) -> str:
        """What comes after all numbers of records, and before their other orders."""
        return f"{self.records}:"

    @property
    def staging(self) -> str:
        """Prefix of records that have not come to their places yet; they come after all numbers."""
        return self.records + "~staged/"

    def staged(self, area: str, number: int) -> str:
        """Return where one record waits in an area of its own."""
        return f"{self.staging}{_segment('name of an area', area)}/{_padded(number)}"

    def records_by(self, date: str) -> str:
        """Prefix of the records' order by one of their dates."""
        return f"{self.records}~{_segment('name of a date', date)}/"

    def record_by(self, date: str, second: int, number: int) -> str:
        """Return where a record is in the order by a date, given in seconds since 1970; earlier ones count as 0."""
        return f"{self.records_by(date)}{max(second, 0):012d}~{number:012d}"


def last_part(key: str) -> str:
    """Return the id at the end of a path: the node's uuid, the upload's id or the record's padded number."""
    return key.rpartition("/")[2]


def _padded(number: int) -> str:
    if not 0 <= number < RECORD_NUMBERS:
        raise BadKey(f"record number {number} is not between 0 and {RECORD_NUMBERS - 1}")
    return f"{number:012d}"


def _segment(what: str, text: str) -> str:
    if not _SEGMENT.fullmatch(text):
        raise BadKey(
            f"{what} {text!r} must be 1 to 128 letters, digits, '.', '_' or '-', beginning with a letter or digit"
        )
    return text
