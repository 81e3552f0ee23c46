"""`twinkey status`: the site's licence state for an operator, and as an exit code for scripts.

Exit codes: 0 valid, 1 error, 2 usage, 3 expired, 4 over quota, 5 unreachable (or the site itself cannot tell).
"""

from __future__ import annotations

import datetime as dt
import sys

import click

from console.api_client import SiteStatus, age_of, told_at
from console.connecting import EXPIRED, OVER_QUOTA, VALID, Connection, connects


@click.command()
@connects("read")
def status(site: Connection) -> None:
    """Show the site's licence status.

    Exit codes: 0 valid, 1 error, 3 expired, 4 over quota, 5 unreachable.
    """
    now, answer = site.status()
    if site.as_json:
        click.echo(answer.body)
    else:
        from console.status_table import print_status  # noqa: PLC0415 - rich is slow to import and not always needed

        print_status(now, told_at(answer) or dt.datetime.now(dt.UTC), age_of(answer))
    sys.exit(exit_code(now))


def exit_code(site: SiteStatus) -> int:
    """Return the exit code that says how the licence stands."""
    if site.license.status != "Valid":
        return EXPIRED
    return OVER_QUOTA if "quota-exceeded" in site.alerts else VALID
