"""A site's status as a table that a person likes to read. Knows neither HTTP nor exit codes."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from console.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from console.api_client import Key, Node, SiteStatus, Units

KEY_STATES = {
    "None": "None: no USB key has been used on this site",
    "Ready": "Normal (Ready)",
    "Missing": "Removed (Missing)",
    "Abnormal": "Abnormal",
    "Fault": "Fault",
}
EDITIONS = {
    "basic-trial": "Basic Edition - Trial",
    "basic-paid": "Basic Edition - Paid",
    "advanced-paid": "Advanced Edition - Paid",
}
UNITS = (("hosts", "hosts"), ("cpu_sockets", "CPU sockets"), ("cpu_cores", "CPU cores"), ("vms", "VMs"))
GOOD, WARN, BAD = "green", "yellow", "bold red"
TWO_DAYS = dt.timedelta(days=2)

Row = tuple[str, Text]


def print_status(site: SiteStatus, now: dt.datetime, age: float, console: Console | None = None) -> None:
    """Print the status as it is at `now`; `age` is how many seconds ago it was known to be true.

    When it was published says nothing about that: a status that is still true is not published again.
    """
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _rows(site, now, age):
        table.add_row(name, value)
    (console or Console(highlight=False)).print(table)


def remaining(until: dt.datetime, now: dt.datetime) -> str:
    """Say how long it is until then, or since then."""
    span = abs(until - now)
    hours = int(span.total_seconds() // 3600)
    text = f"{span.days} days" if span >= TWO_DAYS else f"{hours} hours" if hours != 1 else "1 hour"
    return f"{text} left" if until > now else f"{text} ago"


def _rows(site: SiteStatus, now: dt.datetime, age: float) -> Iterator[Row]:
    yield "Site", _text(site.site_id or "-")
    yield "Licence", _licence(site)
    if site.license.expires:
        yield "Expires", _moment(site.license.expires, now)
    if site.license.service_expires:
        yield "After-sales service", _moment(site.license.service_expires, now)
    yield "USB key", _key_state(site)
    yield "Buffer", _moment(site.buffer.expires, now) if site.buffer else _text("none")
    yield "Alerts", _text(", ".join(site.alerts), WARN) if site.alerts else _text("none", GOOD)
    yield "Usage", _usage(site.usage, site.quota)
    if site.restricted:
        yield "Restricted", _text("most operations of the platform are refused", BAD)
    if not site.start_allowed:
        yield "Start", _text("a management node that is shut down may not start again", BAD)
    for node in site.nodes:
        yield f"Node {printable(node.name)}", _node(node, site)
    others = [reason for reason in site.reasons if reason != site.key_state_reason]
    yield from (("Because" if number == 0 else "", _text(reason)) for number, reason in enumerate(others))
    yield "As of", _freshness(site, now, age)


def _licence(site: SiteStatus) -> Text:
    licence = site.license
    style = GOOD if licence.status == "Valid" else BAD
    if licence.name is None:
        return _text(f"{licence.status}: no licence", style)
    edition = EDITIONS.get(licence.edition or "", licence.edition or "")
    source = f", on USB key {licence.key_id}" if licence.key_id else f", {licence.source}" if licence.source else ""
    return Text.assemble((licence.status, style), f"  {printable(licence.name)} ({printable(edition + source)})")


def _key_state(site: SiteStatus) -> Text:
    style = {"Ready": GOOD, "None": "", "Abnormal": WARN}.get(site.key_state, BAD)
    state = Text(KEY_STATES.get(site.key_state, site.key_state), style)
    return state.append(f"  {printable(site.key_state_reason)}", "default") if site.key_state_reason else state


def _usage(usage: Units | None, quota: Units | None) -> Text:
    parts = []
    for member, title in UNITS:
        used, allowed = getattr(usage, member, None), getattr(quota, member, None)
        if used is not None or allowed is not None:
            parts.append(
                f"{'unknown' if used is None else used} of {'unlimited' if allowed is None else allowed} {title}"
            )
    text = ", ".join(parts) or "never reported"
    return _text(f"{text} (reported more than a day ago)", WARN) if usage and usage.stale else _text(text)


def _node(node: Node, site: SiteStatus) -> Text:
    leads = site.leader is not None and site.leader.management_node_uuid == node.management_node_uuid
    roles = [role for role, has in (("leader", leads), ("virtual IP", node.vip), ("drained", node.drained)) if has]
    keys = ", ".join(map(_key, node.ukeys))
    state = ("reachable", GOOD) if node.reachable else ("not reachable", WARN)
    held = f"keys: {keys}" if keys else "no USB key"
    more = [_hanging(node.abandoned_readers), _version(node, site), node.problem]
    text = "; ".join([*roles, held, *filter(None, more)])
    return Text.assemble(state, f"  {printable(text)}")


def _version(node: Node, site: SiteStatus) -> str:
    """Say which version a node runs, where that is not the same on all."""
    if len({each.version for each in site.nodes}) == 1:
        return ""
    return f"version {node.version}" if node.version else "version not known"


def _hanging(readers: int) -> str:
    if readers == 0:
        return ""
    return "1 reader hangs: unplug the key it reads" if readers == 1 else f"{readers} readers hang: unplug their keys"


def _key(key: Key) -> str:
    known = ", ".join(filter(None, [key.reading, key.assurance]))
    return f"{key.key_id} ({known}{': ' + key.reason if key.reason else ''})"


def _freshness(site: SiteStatus, now: dt.datetime, age: float) -> Text:
    true_at = (now - dt.timedelta(seconds=age)).astimezone(dt.UTC)
    when = f"{true_at:%Y-%m-%d %H:%M:%S} UTC, {age:.0f} s ago"
    return _text(f"{when}; stale: no leader confirms it now", WARN) if site.stale else _text(when)


def _moment(moment: dt.datetime, now: dt.datetime) -> Text:
    style = GOOD if moment > now else BAD
    return Text.assemble(f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC  ", (remaining(moment, now), style))


def _text(text: str, style: str = "") -> Text:
    return Text(printable(text), style)
