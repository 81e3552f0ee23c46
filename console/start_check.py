"""`twinkey start-check`: whether a management node may start, for `ExecStartPre=` of the platform's unit.

It fails only where the site says that starting is not allowed. Whatever keeps it from knowing (no coordinator, no
quorum, no token) is told and lets the node start: a licence server must not keep a platform down.
"""

from __future__ import annotations

import asyncio
import json
import sys

import click
import msgspec

from console.api_client import SiteStatus, Unreachable, error_text, parse_status
from console.connecting import OVER_QUOTA, Connection, connects
from console.terminal import printable


class _Unknown(Exception):  # noqa: N818 - it says what the answer is
    """Nobody can tell; the text says why."""


@click.command("start-check")
@connects("read")
def start_check(site: Connection) -> None:
    """Say whether a management node may start now.

    Exit codes: 4 it may not (the usage is above the quota); 0 it may, or nobody can tell, which is warned of.
    """
    try:
        now = asyncio.run(_status(site))
    except _Unknown as error:
        _say(site, allowed=None, why=str(error))
        text = f"warning: whether a node may start is not known, so it may: {error}"
        click.echo(f"twinkey: {printable(text)}", err=True)
        return
    if now.stale:
        click.echo("twinkey: warning: the answer is stale: no leader confirms it now.", err=True)
    why = now.banner.text if now.banner else ""
    _say(site, allowed=now.start_allowed, why=why)
    if not now.start_allowed:
        hint = "Install a licence that covers it: `twinkey license install FILE` on this console."
        click.echo(f"twinkey: a management node may not start. {printable(why)} {hint}", err=True)
        sys.exit(OVER_QUOTA)


async def _status(site: Connection) -> SiteStatus:
    try:
        answer = await site.api.get("/v1/status")
        if not answer.ok:
            raise _Unknown(error_text(answer))
        return parse_status(answer)
    except (Unreachable, msgspec.DecodeError, OSError) as error:
        raise _Unknown(str(error)) from error
    except click.ClickException as error:
        raise _Unknown(error.message) from error


def _say(site: Connection, *, allowed: bool | None, why: str) -> None:
    if site.as_json:
        click.echo(json.dumps({"startAllowed": allowed, "reason": why}))
