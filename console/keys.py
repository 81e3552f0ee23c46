"""`twinkey keys`: the USB keys of the site, node by node, once or whenever something changes."""

from __future__ import annotations

import contextlib

import click
from click.core import ParameterSource

from console.api_client import Request, SiteStatus, parse_status
from console.connecting import Connection, connects
from console.removal import preview_removal
from console.status_table import KEY_STATES
from console.terminal import print_table, printable

LONG_POLL = 30
NOT_MODIFIED = 304


@click.group(invoke_without_command=True)
@click.option("--watch", is_flag=True, help="Show them again whenever something changes, until Ctrl-C.")
@click.pass_context
@connects("read")
def keys(site: Connection, context: click.Context, *, watch: bool) -> None:
    """Show the inserted USB keys and the state that follows from them.

    Options of `preview-removal` come after that word.
    """
    if context.invoked_subcommand:
        if any(context.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in context.params):
            raise click.UsageError(f"Give the options after `{context.invoked_subcommand}`.")
        return
    now, answer = site.status()
    _show(site, now)
    with contextlib.suppress(KeyboardInterrupt):
        while watch:
            tag = {"If-None-Match": answer.headers.get("ETag", "")}
            poll = Request("GET", f"/v1/status?wait={LONG_POLL}", headers=tag, within=LONG_POLL + 5)
            answer = site.answered(poll, "Watching")
            if answer.status == NOT_MODIFIED:
                continue
            before, now = now, site.decoded(answer, parse_status)
            if _seen(now) != _seen(before):
                _show(site, now)


keys.add_command(preview_removal)


def _seen(now: SiteStatus) -> object:
    return now.key_state, now.key_state_reason, now.stale, _rows(now)


def _show(site: Connection, now: SiteStatus) -> None:
    if site.as_json:
        click.echo(site.get("/v1/licenses/ukeys").body)
        return
    state = KEY_STATES.get(now.key_state, now.key_state).partition(":")[0]
    click.echo(f"{state}: {printable(now.key_state_reason)}")
    if now.stale:
        click.echo("twinkey: this answer is stale: no leader confirms it now.", err=True)
    print_table(("Node", "USB key", "Reading", "Assurance", "Reason"), _rows(now))


def _rows(now: SiteStatus) -> list[tuple[str, str, str, str, str]]:
    rows = []
    for node in now.nodes:
        name = node.name if node.reachable else f"{node.name} (not reachable)"
        rows += [(name, key.key_id, key.reading, key.assurance or "-", key.reason) for key in node.ukeys]
        rows += [] if node.ukeys else [(name, "none", "-", "-", node.problem)]
    return rows
