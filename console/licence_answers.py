"""The shapes of the answers about licences, as far as the console shows them, and the tables made of them.

Like all that is read from a site they are tolerant of members that this version does not know. Knows no HTTP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from console.api_client import Body, Licence, Units
from console.terminal import when
from licensing.value import Time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.api_client import Answer

COUNTED = (
    ("host_num", "hosts", "hosts"),
    ("cpu_num", "cpu_sockets", "CPU sockets"),
    ("cpu_core_num", "cpu_cores", "CPU cores"),
    ("vm_num", "vms", "VMs"),
)
"""The members of an inventory that are quotas, the unit of a usage that belongs to each, and its name for people."""


class Inventory(Body, frozen=True):
    """A licence in the platform's own words; without a licence nearly all is None."""

    uuid: str | None = None
    prod_info: str | None = None
    user: str | None = None
    edition: str | None = None
    source: str | None = None
    key_id: str | None = None
    assurance: str | None = None
    expired: bool = True
    issued_date: Time | None = None
    expired_date: Time | None = None
    service_expired_date: Time | None = None
    upload_date: Time | None = None
    management_node_uuid: str | None = None
    host_num: int | None = None
    cpu_num: int | None = None
    cpu_core_num: int | None = None
    vm_num: int | None = None
    usage: Units | None = None

    @property
    def over_quota(self) -> bool:
        """Whether more of some unit is used than the licence covers."""
        pairs = ((getattr(self, quota), getattr(self.usage, unit, None)) for quota, unit, _ in COUNTED)
        return any(used > quota for quota, used in pairs if quota is not None and used is not None)


class InForce(Body, frozen=True):
    """The answer to GET /v1/licenses."""

    inventory: Inventory
    reasons: tuple[str, ...] = ()
    stale: bool = False


class Outcome(Body, frozen=True):
    """What became, or would become, of an upload, a deletion or a synchronisation; `code` only of a refusal."""

    text: str = ""
    hint: str = ""
    code: str = ""
    changed: bool = False
    warnings: tuple[str, ...] = ()
    node: str = ""
    licences: tuple[str, ...] = ()
    http: int = 200


class Told(Body, frozen=True):
    """The answer that tells an outcome which was asked for, or would be."""

    outcome: Outcome
    accepted: bool = True
    license: Licence | None = None
    restricted: bool = False


class Taken(Body, frozen=True):
    """An order that the site has taken and not carried out yet."""

    id: str


def in_force(answer: Answer) -> InForce:
    """Return the licence in force.

    Raises:
        msgspec.DecodeError: it is another answer.
    """
    return msgspec.json.decode(answer.body, type=InForce)


def outcome_in(answer: Answer) -> Outcome:
    """Return what became of a change.

    Raises:
        msgspec.DecodeError: it is another answer.
    """
    return msgspec.json.decode(answer.body, type=Outcome)


def told_in(answer: Answer) -> Told:
    """Return the outcome of an earlier change, or of one that was only tried.

    Raises:
        msgspec.DecodeError: it is another answer.
    """
    return msgspec.json.decode(answer.body, type=Told)


def taken_in(answer: Answer) -> Taken:
    """Return which order the site has taken.

    Raises:
        msgspec.DecodeError: it is another answer.
    """
    return msgspec.json.decode(answer.body, type=Taken)


def inventory_facts(licence: Inventory) -> Iterator[tuple[str, str]]:
    """Yield what there is to say of a licence, a name and its value at a time."""
    yield "Status", "Expired" if licence.expired else "Valid"
    if licence.user is None:
        yield "Licence", "none is in force"
        return
    yield "Licence", licence.user
    yield "Licence id", licence.uuid or "-"
    yield "Edition", licence.prod_info or licence.edition or "-"
    yield "From", _source(licence)
    yield "Quota", ", ".join(_quota(licence)) or "unlimited"
    dates = (("Issued", licence.issued_date), ("Expires", licence.expired_date), ("Installed", licence.upload_date))
    yield from ((name, when(moment)) for name, moment in (*dates, ("Service until", licence.service_expired_date)))
    yield "Node", licence.management_node_uuid or "-"


def outcome_facts(outcome: Outcome) -> Iterator[tuple[str, str]]:
    """Yield what became of a change, warnings and what to do next included."""
    yield "Outcome", outcome.text or ("Something changed." if outcome.changed else "Nothing changed.")
    yield from (("Warning", warning) for warning in outcome.warnings)
    if outcome.hint:
        yield "Next", outcome.hint
    if outcome.node:
        yield "For node", outcome.node
    if outcome.licences:
        yield "Licences", ", ".join(outcome.licences)


def _source(licence: Inventory) -> str:
    if licence.key_id is None:
        return licence.source or "-"
    return f"USB key {licence.key_id}" + (f" ({licence.assurance})" if licence.assurance else "")


def _quota(licence: Inventory) -> Iterator[str]:
    for member, unit, title in COUNTED:
        quota, used = getattr(licence, member), getattr(licence.usage, unit, None)
        if quota is not None:
            yield f"{'unknown' if used is None else used} of {quota} {title}"
