"""`twinkey alerts`: what an operator should know, with the sentences that say why."""

from __future__ import annotations

import click

from console.api_client import members
from console.connecting import Connection, connects
from console.terminal import print_facts, printable


@click.command()
@connects("read")
def alerts(site: Connection) -> None:
    """Show the site's alerts; the exit code is 0 whether there are some or none."""
    now, answer = site.status()
    if site.as_json:
        click.echo(members(answer, "alerts", "banner", "reasons", "asOf", "stale"))
        return
    if not now.alerts:
        click.echo("No alerts.")
    else:
        banner = [(now.banner.level.capitalize(), now.banner.text)] if now.banner else []
        print_facts([*(("Alert", alert) for alert in now.alerts), *banner])
    for reason in now.reasons:
        click.echo(f"  {printable(reason)}")
    if now.stale:
        click.echo("twinkey: this answer is stale: no leader confirms it now.", err=True)
