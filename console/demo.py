"""`twinkey demo`: a site on this machine, and the verbs that act on it from another shell."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click
import msgspec

from console.demo_control import NoDemo, give_order
from console.demo_orders import WITH_KEY, Cannot, Order, Verb, checked_name
from console.demo_places import FOLDER, PORTS, TOKEN_FILE, url_of

if TYPE_CHECKING:
    from collections.abc import Mapping

LABELS = tuple(PORTS)
PORT = click.IntRange(1, 65535)


@dataclass(frozen=True)
class _Chosen:
    """The options that hold for every verb."""

    folder: Path
    as_json: bool


@click.group(invoke_without_command=True)
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=FOLDER,
    show_default=True,
    help="The folder in which everything of the demo is.",
)
@click.option("--port-a", type=PORT, default=PORTS["a"], show_default=True, help="HTTP port of node a.")
@click.option("--port-b", type=PORT, default=PORTS["b"], show_default=True, help="HTTP port of node b.")
@click.option("--single-node", is_flag=True, help="A site with node a alone.")
@click.option("--quiet", is_flag=True, help="Print nothing once the site is up.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
@click.pass_context
def demo(
    ctx: click.Context, folder: Path, port_a: int, port_b: int, *, single_node: bool, quiet: bool, as_json: bool
) -> None:
    """Run a two-node site with simulated USB keys on this machine, until Ctrl-C.

    The verbs below act on a demo that runs in another shell.
    """
    ctx.obj = _Chosen(folder, as_json)
    if ctx.invoked_subcommand is None:
        if port_a == port_b and not single_node:
            raise click.UsageError("--port-a and --port-b are the same: give every node a port of its own.")
        ports = {"a": port_a} if single_node else {"a": port_a, "b": port_b}
        _run(folder, ports, quiet=quiet, as_json=as_json)


def _run(folder: Path, ports: Mapping[str, int], *, quiet: bool, as_json: bool) -> None:
    # loaded here, because the verbs need nothing of it and should be quick
    from console.demo_run import CannotStart, Plan, run  # noqa: PLC0415
    from console.demo_screen import JsonLines, Quiet, Words  # noqa: PLC0415

    words = Words(*_call(folder, ports), dt.datetime.now)
    screen = JsonLines() if as_json else Quiet(words) if quiet else words
    try:
        asyncio.run(run(Plan(folder, ports), screen))
    except CannotStart as error:
        _fail(str(error), as_json=as_json)


def _call(folder: Path, ports: Mapping[str, int]) -> tuple[str, str]:
    """Return how this demo's verbs and `twinkey status` are called; what is as usual needs no option."""
    twinkey = "twinkey" if shutil.which("twinkey") == sys.argv[0] else sys.argv[0]
    verbs, status = f"{twinkey} demo", f"{twinkey} status"
    if folder != FOLDER:
        verbs, status = f"{verbs} --dir {folder}", f"{status} --token-file {folder / TOKEN_FILE}"
    if ports["a"] != PORTS["a"]:
        status = f"{status} --url {url_of(ports['a'])}"
    return verbs, status


# --- the verbs -----------------------------------------------------------------------------------------------------

_node = click.argument("node", type=click.Choice(LABELS))
_key = click.argument("key")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@demo.command()
@_node
@_key
@_json
@click.pass_obj
def plug(chosen: _Chosen, node: str, key: str, *, as_json: bool) -> None:
    """Insert the USB key KEY into NODE.

    Any name will do: a key that is new is signed for the demo. The same key in both nodes is a clone.
    """
    _give(chosen, Order(Verb.PLUG, node=node, key=key), as_json=as_json)


@demo.command()
@_node
@_key
@_json
@click.pass_obj
def unplug(chosen: _Chosen, node: str, key: str, *, as_json: bool) -> None:
    """Pull the USB key KEY out of NODE."""
    _give(chosen, Order(Verb.UNPLUG, node=node, key=key), as_json=as_json)


@demo.command("break")
@_key
@_json
@click.pass_obj
def break_(chosen: _Chosen, key: str, *, as_json: bool) -> None:
    """Break the USB key KEY: it cannot be read."""
    _give(chosen, Order(Verb.BREAK, key=key), as_json=as_json)


@demo.command()
@_key
@_json
@click.pass_obj
def repair(chosen: _Chosen, key: str, *, as_json: bool) -> None:
    """Repair the USB key KEY."""
    _give(chosen, Order(Verb.REPAIR, key=key), as_json=as_json)


@demo.command()
@_node
@click.option("--kill", is_flag=True, help="As if the power failed: SIGKILL instead of SIGTERM.")
@_json
@click.pass_obj
def stop_node(chosen: _Chosen, node: str, *, kill: bool, as_json: bool) -> None:
    """Stop the daemons of NODE; return when its report is gone."""
    _give(chosen, Order(Verb.STOP_NODE, node=node, kill=kill), as_json=as_json)


@demo.command()
@_node
@_json
@click.pass_obj
def start_node(chosen: _Chosen, node: str, *, as_json: bool) -> None:
    """Start the daemons of NODE; return when they are ready."""
    _give(chosen, Order(Verb.START_NODE, node=node), as_json=as_json)


@demo.command()
@_node
@_json
@click.pass_obj
def move_vip(chosen: _Chosen, node: str, *, as_json: bool) -> None:
    """Move the virtual IP to NODE."""
    _give(chosen, Order(Verb.MOVE_VIP, node=node), as_json=as_json)


def _give(chosen: _Chosen, order: Order, *, as_json: bool) -> None:
    as_json = as_json or chosen.as_json
    try:
        if order.verb in WITH_KEY:
            checked_name(order.key)
        done = asyncio.run(give_order(chosen.folder, order))
    except (Cannot, NoDemo) as error:
        _fail(str(error), as_json=as_json)
    click.echo(msgspec.json.encode(done) if as_json else done.text)


def _fail(text: str, *, as_json: bool) -> NoReturn:
    if as_json:
        click.echo(json.dumps({"error": {"code": "demo", "description": text}}))
    click.echo(f"twinkey: {text}", err=True)
    sys.exit(1)
