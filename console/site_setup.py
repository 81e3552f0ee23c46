"""`twinkey site init`, `join` and `renew`: from a command line to a machine's files, and what to do then."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click
import msgspec

from cluster.member_clock import is_ours
from cluster.whole_file import write_whole
from console.site_authority import CERTIFICATE_LASTS
from console.site_bundle import LIMIT, BadBundle, unpack
from console.site_files import WHAT
from console.site_found import Done, Refusal, found, join, renew
from console.site_interface import interface_with
from console.site_next import Step, after_founding, after_joining, after_renewing
from console.site_plan import BadPlan, Machine, Ports, Wish, named_machine, named_uuids, usual_address
from console.site_settings import ETC, UNIT, UNIT_FILE
from console.terminal import printable

DEFAULT = Path(ETC)
SYSTEMD = Path("/run/systemd/system")
"""It is there where systemd runs."""
_MODE = 0o644

etc_option = click.option(
    "--etc",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT,
    show_default=True,
    help="Where the files are written; in them paths are those of an installed machine.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_interface_option = click.option(
    "--interface", help="The network interface of this node's address, for keepalived.  [default: it is looked for]"
)


@click.command("init")
@click.option("--site-id", required=True, help="The site's name: letters, digits and `. _ -`.")
@click.option(
    "--node",
    "nodes",
    multiple=True,
    required=True,
    metavar="NAME=ADDRESS",
    help="A management node and its IP address, first this machine; once or twice.",
)
@click.option(
    "--witness", metavar="NAME=ADDRESS", help="The third machine, which runs an etcd member and nothing else."
)
@click.option("--virtual-ip", default="", help="The address that moves between the nodes.")
@click.option(
    "--keyring",
    type=click.File("rb"),
    required=True,
    help="The vendor's public keys (keyring.json), from the vendor.",
)
@click.option(
    "--uuid",
    "uuids",
    multiple=True,
    metavar="NAME=UUID",
    help="A node's managementNodeUuid, where the platform has given one.  [default: a new one]",
)
@click.option(
    "--bus", default="usb", show_default=True, help="Where USB keys are looked for: usb, or simulated:FOLDER."
)
@click.option(
    "--stick-id", "stick_ids", multiple=True, metavar="VENDOR:PRODUCT", help="USB sticks that are keys; repeatable."
)
@click.option("--client-port", type=int, default=2379, show_default=True, help="etcd's port for clients.")
@click.option("--peer-port", type=int, default=2380, show_default=True, help="etcd's port for its members.")
@click.option("--http-port", type=int, default=8441, show_default=True, help="The coordinators' port.")
@_interface_option
@etc_option
@json_option
def init(keyring: IO[bytes], etc: Path, interface: str | None, *, as_json: bool, **asked: Any) -> None:
    """Found a site on this machine, its first --node.

    Makes the site's certificate authority, the settings and certificates of this machine, the first tokens, and a
    bundle for every other machine to join with. Run it again to finish what was interrupted; what is there stays.

    One --node is a site of one machine. Two need a --witness.
    """
    with _plain_errors():
        wish = _wish(**asked)
        there = _interface(wish.nodes[0], interface, etc)
        done = found(wish, keyring.read(), etc, _now(), there)
        _install_unit(done, etc)
    _show(done, after_founding(done.here, done.bundles), as_json=as_json, etc=etc)


@click.command("join")
@click.argument("bundle", type=click.File("rb"))
@click.option(
    "--replacing", is_flag=True, help="This machine replaces one that is gone: its etcd joins those that run."
)
@_interface_option
@etc_option
@json_option
def join_command(bundle: IO[bytes], etc: Path, interface: str | None, *, replacing: bool, as_json: bool) -> None:
    """Let this machine join the site that made the BUNDLE, or take the newer certificates in it.

    Delete the bundle afterwards: it holds private keys.
    """
    with _plain_errors():
        data = bundle.read(LIMIT)
        files = unpack(data)
        there = _interface(files.machine, interface, etc)
        done = join(data, etc, _now(), there, replacing=replacing)
        _install_unit(done, etc)
    renewed = done.outcome.replaced and not replacing
    steps = after_renewing(done.here, {}, founder=False) if renewed else after_joining(done.here)
    _show(done, steps, as_json=as_json, etc=etc)


@click.command("renew")
@etc_option
@json_option
def renew_command(etc: Path, *, as_json: bool) -> None:
    """Make new certificates for all machines, on the machine where the site was founded.

    Those of this machine are put into place, those of the others into new bundles, which `twinkey site join` takes
    there. Nothing has to be restarted. The authority, the tokens and the settings stay.
    """
    with _plain_errors():
        done = renew(etc, _now())
    _show(done, after_renewing(done.here, done.bundles, founder=True), as_json=as_json, etc=etc)


@click.command("roles")
@click.option("--endpoints", multiple=True, metavar="HOST:PORT", help="etcd's members.  [default: those of the site]")
@click.option(
    "--wait", type=click.FloatRange(min=0), default=30.0, show_default=True, help="Seconds to wait for etcd to answer."
)
@etc_option
@json_option
def roles(endpoints: tuple[str, ...], wait: float, etc: Path, *, as_json: bool) -> None:
    """Tell etcd who may write what, and switch its authentication on; once, when etcd has a quorum.

    Run it again at any time: it puts right what is otherwise, and tells what that was.
    """
    from console.site_roles import give_roles  # noqa: PLC0415 - it loads what speaks to etcd

    give_roles(etc, endpoints, wait, as_json=as_json)


# --- what was asked ------------------------------------------------------------------------------------------------


def _wish(**asked: Any) -> Wish:
    virtual_ip = asked["virtual_ip"]
    return Wish(
        asked["site_id"],
        tuple(map(named_machine, asked["nodes"])),
        named_machine(asked["witness"]) if asked["witness"] else None,
        usual_address(virtual_ip, "the virtual IP") if virtual_ip else "",
        asked["bus"],
        tuple(asked["stick_ids"]),
        Ports(asked["client_port"], asked["peer_port"], asked["http_port"]),
        named_uuids(asked["uuids"]),
    )


def _interface(machine: Machine, given: str | None, etc: Path) -> str | None:
    """Return the interface of the machine's address.

    Raises:
        Refusal: files are to be put in place for good, and this machine does not have the address.
    """
    if etc == DEFAULT and not is_ours(machine.address):
        raise Refusal(
            f"{machine.address}, the address of {machine.name}, is none of this machine's: run this on {machine.name}, "
            f"or give the machine its address first. To write files for another machine, name a folder with --etc"
        )
    return given or interface_with(machine.address)


def _install_unit(done: Done, etc: Path) -> None:
    """Tell systemd where the settings of etcd are, where the files are in their usual place."""
    unit = Path("/", UNIT_FILE)
    if etc != DEFAULT or not SYSTEMD.is_dir() or (unit.exists() and unit.read_text(encoding="utf-8") == UNIT):
        return
    unit.parent.mkdir(exist_ok=True)
    write_whole(unit, UNIT.encode(), _MODE)
    done.outcome.written.append(str(unit))


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except (Refusal, BadPlan, BadBundle) as error:
        text = str(error)
        raise click.ClickException(printable_lines(text[:1].upper() + text[1:]).rstrip(".") + ".") from error
    except OSError as error:
        hint = " Run this as root." if isinstance(error, PermissionError) else ""
        raise click.ClickException(f"{error.filename}: {error.strerror}.{hint}") from error


def printable_lines(text: str) -> str:
    """Return a text of several lines without what could confuse a terminal."""
    return "\n".join(map(printable, text.split("\n")))


# --- what is told --------------------------------------------------------------------------------------------------


def _show(done: Done, steps: tuple[Step, ...], *, as_json: bool, etc: Path) -> None:
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(_told(done, steps))))
        return
    plan, outcome = done.here.plan, done.outcome
    click.echo(f"This machine is {done.here.machine} of the site {plan.site_id}.")
    if not outcome.changed:
        click.echo("Everything is there; nothing was changed.")
    for words, paths in (
        ("Written", outcome.written),
        ("Replaced", outcome.replaced),
        ("Given to whom it is for", outcome.put_right),
    ):
        if paths:
            click.echo(f"\n{words} in {etc}:")
            for path in paths:
                click.echo(f"  {path:<25} {_what(path)}".rstrip())
    click.echo("")
    for note in _notes(done, etc):
        click.echo(note)
    if outcome.changed or done.bundles:
        click.echo("\nWhat to do next:")
        for number, step in enumerate(steps, 1):
            click.echo(f"{number}. {step.text}")
            for command in step.commands:
                click.echo(f"     {command}")


def _what(path: str) -> str:
    bundle = re.fullmatch(r"authority/join-(.+)\.tar", path)
    return f"the files of {bundle[1]}, with private keys" if bundle else WHAT.get(path, "")


def _notes(done: Done, etc: Path) -> Iterator[str]:
    yield f"The certificates end on {done.ends:%Y-%m-%d}: run `twinkey site renew` before. Keep a copy of {etc}."
    if done.authority_ends - _now() < CERTIFICATE_LASTS:
        yield f"The site's authority ends on {done.authority_ends:%Y-%m-%d}, and every certificate with it."
    groups = sorted(done.outcome.missing_groups)
    if groups:
        yield (
            f"This machine has no group {', '.join(groups)}: what they may read is root's for now. Install the "
            f"packages that bring them, and run this again."
        )
    elif os.geteuid() != 0:
        yield "You are not root, so all files are yours: see that etcd and the daemons can read theirs."
    if done.here.plan.virtual_ip and "keepalived.conf" in done.outcome.written and not done.interface:
        yield "Set the interface in keepalived.conf, which says eth0 now: no interface here has the node's address."
    if not done.interface_told:
        yield f"keepalived.conf was there and stays, without the interface {done.interface}: change it there if needed."


def _told(done: Done, steps: tuple[Step, ...]) -> dict[str, object]:
    outcome, plan = done.outcome, done.here.plan
    return {
        "site": plan.site_id,
        "machine": done.here.machine,
        "nodes": {node.name: node.uuid for node in plan.nodes},
        "written": outcome.written,
        "replaced": outcome.replaced,
        "putRight": outcome.put_right,
        "kept": outcome.kept,
        "missingGroups": sorted(outcome.missing_groups),
        "bundles": {name: str(path) for name, path in done.bundles.items()},
        "certificatesEnd": done.ends,
        "authorityEnds": done.authority_ends,
        "next": [{"text": step.text, "commands": step.commands} for step in steps],
    }
