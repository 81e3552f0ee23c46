"""`twinkey site`: the site as a whole: its founding, its backup, its nodes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

import click

from cluster.whole_file import write_whole
from console.api_client import Request
from console.connecting import Connection, connects
from console.installing import settled, show_outcome
from console.site_setup import init, join_command, renew_command, roles

BACKUP_WITHIN = 120.0
ACTIONS = "/v1/site/actions"
AS_JSON = {"Content-Type": "application/json"}


@click.group()
def site() -> None:
    """Found the site, give its machines what they need, back it up and restore it."""


for command in (init, join_command, roles, renew_command):
    site.add_command(command)


@site.command()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="The file to write.  [default: stdout]")
@connects("admin")
def backup(site: Connection, out: Path | None) -> None:
    """Write a backup of the whole site: its licences, its state and its history.

    It can be restored into this site only. It holds no keys of the vendor and no tokens.
    """
    answer = site.answered(Request("GET", "/v1/site/backup", within=BACKUP_WITHIN), "Reading the whole history")
    if out is None:
        click.echo(answer.body, nl=False)
        return
    try:
        write_whole(out, answer.body)
    except OSError as error:
        site.fail(f"cannot write {out}: {error.strerror}. Name another file.")
    if site.as_json:
        click.echo(json.dumps({"backup": str(out), "bytes": len(answer.body)}))
    else:
        click.echo(f"The site is backed up in {out}; keep it on another machine.")


@site.command()
@click.argument("file", type=click.File("rb"))
@click.option("--yes", is_flag=True, help="Do not ask.")
@connects("admin")
def restore(site: Connection, file: IO[bytes], *, yes: bool) -> None:
    """Restore the backup FILE (- for stdin) into a site whose etcd was lost or is older.

    What would take a licence back is refused.
    """
    if not yes:
        click.confirm("Put this backup in the place of what the site knows?", abort=True, err=True)
    body = b'{"restore":' + file.read() + b"}"
    _order(site, Request("PUT", ACTIONS, body, AS_JSON, BACKUP_WITHIN), "Restoring the backup")


@site.command("add-node")
@click.argument("uuid")
@connects("admin")
def add_node(site: Connection, uuid: str) -> None:
    """Let the management node UUID join a site of one node; the licence stays as it is."""
    body = json.dumps({"addNode": {"managementNodeUuid": uuid}}).encode()
    _order(site, Request("PUT", ACTIONS, body, AS_JSON, 30.0), "Adding the node")


def _order(site: Connection, request: Request, doing: str) -> None:
    answer = settled(site, site.ask(request, doing))
    if not answer.ok:
        site.refused(answer)
    show_outcome(site, answer)
