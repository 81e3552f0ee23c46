"""`twinkey site roles`: tells etcd who of the site may write what, and switches its authentication on."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import time
from pathlib import Path

import click
import msgspec

from cluster.etcd_access import Tls
from cluster.etcd_roles import EtcdRoles, Role, Told, agent_role, coordinator_role
from cluster.keys import Keys
from cluster.settings import Endpoint
from cluster.store import PermissionRefused, StoreError, Unavailable
from console.site_authority import ends_at
from console.site_files import AGENTS, CA, COORDINATORS, ROOT, agent_user, coordinator_user
from console.site_found import Refusal, read_plan
from console.site_plan import Plan
from console.terminal import printable, waiting


def give_roles(etc: Path, endpoints: tuple[str, ...], patience: float, *, as_json: bool) -> None:
    """Give the roles of the site that was founded here, and tell what was changed.

    `patience`: for how many seconds an etcd that does not answer is asked again.
    """
    try:
        plan = read_plan(etc)
    except Refusal as refusal:
        raise click.ClickException(f"{refusal}.") from refusal
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}. Run this as root.") from error
    members = tuple(map(_member, endpoints)) or plan.endpoints(plan.nodes[0])
    tls = _root(etc)
    try:
        with waiting("Asking etcd"):
            told = asyncio.run(_put_right(members, tls, plan, patience))
    except Unavailable as error:
        text = f"{error}. Start etcd on two of the site's machines, on one of a site of one node, and run this again."
        if endpoints:
            text += " Of those that --endpoints names one has to be running."
        raise click.ClickException(printable(text)) from error
    except PermissionRefused as error:
        text = f"{error}. Another than this site's root has switched authentication on: restore {etc} from a backup."
        raise click.ClickException(printable(text)) from error
    except StoreError as error:
        raise click.ClickException(printable(f"{error}. Run this again; it goes on where it was.")) from error
    _show(told, as_json=as_json)


def roles_of(plan: Plan) -> tuple[Role, ...]:
    """Return the roles of a site's daemons."""
    keys = Keys(plan.site_id)
    agents = (agent_role(agent_user(uuid), keys, uuid) for uuid in plan.uuids)
    coordinators = (coordinator_role(coordinator_user(uuid), keys) for uuid in plan.uuids)
    return (*agents, *coordinators)


def _member(text: str) -> str:
    """Read the address of an etcd member, as people write them."""
    address = text.removeprefix("https://").removesuffix("/")
    try:
        msgspec.convert(address, Endpoint)
    except msgspec.ValidationError as error:
        raise click.ClickException(printable(f"--endpoints {text}: write HOST:PORT, as in 192.0.2.1:2379.")) from error
    return address


def _root(etc: Path) -> Tls:
    """Return the certificate of etcd's root, after a look at whether it is of use."""
    ca, cert, key = etc / CA, etc / f"{ROOT}.pem", etc / f"{ROOT}.key"
    renewing = "run `twinkey site renew`, which makes both anew, and this again"
    try:
        if not ca.exists():
            raise click.ClickException(f"{ca} is missing: restore it from a copy of {etc}, and run this again.")
        for path in (cert, key):
            if not path.exists():
                raise click.ClickException(f"{path} is missing: {renewing}.")
        tls = Tls(ca, cert, key)
        tls.load()
        ended = ends_at(cert.read_bytes()) <= dt.datetime.now(dt.UTC)
    except PermissionError as error:
        raise click.ClickException(f"{error.filename or key}: {error.strerror}. Run this as root.") from error
    except (OSError, ValueError) as error:  # of TLS too
        text = (
            f"{cert} and {key} are of no use, or do not fit together: {renewing}. If that does not help, restore {ca}."
        )
        raise click.ClickException(text) from error
    if ended:
        raise click.ClickException(f"{cert} has ended: {renewing}.")
    return tls


async def _put_right(endpoints: tuple[str, ...], tls: Tls, plan: Plan, patience: float) -> Told:
    """Give the roles; an etcd that has only just been started is waited for."""
    until = time.monotonic() + patience
    etcd = EtcdRoles(endpoints, tls)
    try:
        while True:
            try:
                return await etcd.put_right(roles_of(plan), Keys(plan.site_id), former=(AGENTS, COORDINATORS))
            except Unavailable:
                if time.monotonic() > until:
                    raise
    finally:
        await etcd.close()


def _show(told: Told, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"changes": told.changes, "strangers": told.strangers}, indent=2))
        return
    for change in told.changes:
        click.echo(f"  {printable(change)}")
    if told.changes:
        click.echo("Each agent writes its own node's reports only, the coordinators all else; etcd sees to it.")
    else:
        click.echo("The roles are as they should be; nothing was changed.")
    if told.strangers:
        click.echo(
            f"etcd also has users or roles that are none of this site's: {printable(', '.join(told.strangers))}."
        )
