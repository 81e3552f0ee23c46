"""`twinkey usage`: what the platform uses of what the licence covers."""

from __future__ import annotations

import json

import click

from console.api_client import Request, SiteStatus, members
from console.connecting import Connection, connects
from console.status_table import UNITS
from console.terminal import print_table, when

_COUNT = click.IntRange(min=0, max=2**31 - 1)


@click.group()
def usage() -> None:
    """Show or report how much of the licence is used."""


@usage.command()
@connects("read")
def show(site: Connection) -> None:
    """Show what is used and what the licence covers, unit by unit."""
    _show(site)


@usage.command("set")
@click.option("--hosts", type=_COUNT)
@click.option("--cpu-sockets", type=_COUNT)
@click.option("--cpu-cores", type=_COUNT)
@click.option("--vms", type=_COUNT)
@connects("usage")
def set_usage(site: Connection, /, **given: int | None) -> None:
    """Report usage, as the platform does by itself; a unit left out keeps its value."""
    report = {_camel(unit): count for unit, count in given.items() if count is not None}
    if not report:
        raise click.UsageError("Give at least one of --hosts, --cpu-sockets, --cpu-cores and --vms.")
    body = json.dumps(report).encode()
    request = Request("PUT", "/v1/licenses/usage", body, {"Content-Type": "application/json"})
    answer = site.answered(request, "Reporting")
    if site.as_json:
        click.echo(answer.body)
    else:
        click.echo("The usage is reported.")


def _show(site: Connection) -> None:
    now, answer = site.status()
    if site.as_json:
        click.echo(members(answer, "usage", "quota", "restricted", "asOf", "stale"))
        return
    print_table(("Unit", "Used", "Covered"), _rows(now))
    if now.usage is None:
        click.echo("The platform never reported its usage.")
    elif now.usage.stale:
        click.echo(f"Reported {when(now.usage.reported_at)}, more than a day ago; it still counts.")
    else:
        click.echo(f"Reported {when(now.usage.reported_at)}.")


def _rows(now: SiteStatus) -> list[tuple[str, str, str]]:
    none = "no licence" if now.license.name is None else "unlimited"
    return [
        (title, _word(getattr(now.usage, unit, None), "unknown"), _word(getattr(now.quota, unit, None), none))
        for unit, title in UNITS
    ]


def _word(count: int | None, otherwise: str) -> str:
    return otherwise if count is None else str(count)


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)
