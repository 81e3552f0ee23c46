"""`twinkey license`: the licence in force, and what changes it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from urllib.parse import quote, urlencode

import click

from console import spool
from console.api_client import Answer, Request, SiteStatus
from console.connecting import ERROR, EXPIRED, OVER_QUOTA, VALID, Connection, connects
from console.installing import install, install_spooled, read_file, settled, show_outcome, upload_of
from console.licence_answers import Told, in_force, inventory_facts, outcome_facts, told_in
from console.terminal import print_facts, when

SYNC_WITHIN = 60.0
AS_JSON = {"Content-Type": "application/json"}


@click.group()
def license() -> None:  # noqa: A001 - the verb is the function's name
    """Show, check, install and remove licences."""


@license.command()
@connects("read")
def get(site: Connection) -> None:
    """Show the licence in force.

    Exit codes: 0 valid, 1 error, 3 expired, 4 over quota, 5 unreachable.
    """
    answer = site.get("/v1/licenses")
    found = site.decoded(answer, in_force)
    if site.as_json:
        click.echo(answer.body)
    else:
        print_facts([*inventory_facts(found.inventory), *(("Because", reason) for reason in found.reasons)])
    if found.inventory.expired:
        sys.exit(EXPIRED)
    sys.exit(OVER_QUOTA if found.inventory.over_quota else VALID)


@license.command()
@click.argument("file", type=click.File("rb"))
@connects("admin")
def inspect(site: Connection, file: IO[bytes]) -> None:
    """Say what installing FILE (a licence file or an archive; - for stdin) would change, and change nothing.

    Exit codes: 0 it would be installed, 1 it would be refused.
    """
    answer = site.answered(upload_of(read_file(site, file), "/v1/licenses/inspect"), "Inspecting")
    told = site.decoded(answer, told_in)
    if site.as_json:
        click.echo(answer.body)
    else:
        print_facts([("Accepted", "yes" if told.accepted else "no"), *outcome_facts(told.outcome), *_then(told)])
    sys.exit(VALID if told.accepted else ERROR)


@license.command("install")
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--spooled", is_flag=True, help="Install what waits in the spool instead of a FILE.")
@click.option(
    "--spool",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=spool.FOLDER,
    show_default=True,
    help="Where a licence waits while the site cannot take it.",
)
@click.option(
    "--keyring",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The vendor's public keys, to verify a licence before it waits.",
)
@connects("admin")
def install_licence(
    site: Connection, file: IO[bytes] | None, folder: Path, keyring: Path | None, *, spooled: bool
) -> None:
    """Install FILE: a licence file or an archive of some, - for stdin.

    While etcd has no quorum nothing can be installed: the licence then waits in the spool, and `--spooled` installs it
    when the quorum is back. Exit codes: 0 installed, 1 refused, 5 unreachable or waiting in the spool.
    """
    if spooled == (file is not None):
        raise click.UsageError("Name either a FILE or --spooled.")
    if file is None:
        install_spooled(site, folder)
    else:
        install(site, read_file(site, file), folder, keyring)


@license.command()
@click.argument("uuid")
@click.option("--yes", is_flag=True, help="Do not ask.")
@connects("admin")
def delete(site: Connection, uuid: str, *, yes: bool) -> None:
    """Remove the installed licence UUID (see `license get`); a USB key's licence goes with its key."""
    if not yes:
        click.confirm(f"Remove the licence {uuid}? The platform may be restricted then.", abort=True, err=True)
    now, _ = site.status()
    node = now.nodes[0].management_node_uuid if now.nodes else "-"
    path = f"/v1/licenses/mn/{quote(node, safe='')}/actions?{urlencode({'uuid': uuid})}"
    show_outcome(site, _done(site, Request("DELETE", path), "Removing"))


@license.command()
@click.option("--node", "names", multiple=True, help="Name or uuid of a node; may be repeated.  [default: all]")
@connects("admin")
def sync(site: Connection, names: tuple[str, ...]) -> None:
    """Read the inserted USB keys again and install what they carry."""
    wanted = {"managementNodeUuids": _uuids(site, names)} if names else {}
    body = json.dumps({"reloadLicense": wanted}).encode()
    request = Request("PUT", "/v1/licenses/actions", body, AS_JSON, SYNC_WITHIN)
    show_outcome(site, _done(site, request, "Reading the USB keys"))


def _then(told: Told) -> Iterator[tuple[str, str]]:
    if told.license:
        until = f" until {when(told.license.expires)}" if told.license.expires else ""
        yield "In force then", f"{told.license.name or 'no licence'}, {told.license.status}{until}"
    if told.restricted:
        yield "Restricted", "most operations of the platform would be refused"


def _done(site: Connection, request: Request, doing: str) -> Answer:
    answer = settled(site, site.ask(request, doing))
    if not answer.ok:
        site.refused(answer)
    return answer


def _uuids(site: Connection, names: tuple[str, ...]) -> list[str]:
    now, _ = site.status()
    return [_uuid(site, now, name) for name in names]


def _uuid(site: Connection, now: SiteStatus, name: str) -> str:
    found = next((node for node in now.nodes if name in {node.name, node.management_node_uuid}), None)
    if found is None:
        site.fail(f"the site has no node {name}; it has {', '.join(node.name for node in now.nodes)}.")
    return found.management_node_uuid
