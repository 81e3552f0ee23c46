"""The `twinkey` command: every verb in one place, each loaded when it is called, so that the command starts fast."""

from __future__ import annotations

import io
import sys
from importlib import import_module

import click

VERBS = {
    "agent": ("console.daemons:agent", "Run the per-node daemon that reports USB keys."),
    "alerts": ("console.alerts:alerts", "Show what an operator should know."),
    "coordinator": ("console.daemons:coordinator", "Run the elected daemon that decides and answers."),
    "demo": ("console.demo:demo", "Run a two-node site on this machine and act on it."),
    "doctor": ("console.doctor:doctor", "Check this machine's USB bus and say what to do."),
    "issuer": ("console.issuer:issuer", "The vendor's desk: keys, licences, USB keys."),
    "keys": ("console.keys:keys", "Show the site's USB keys, once or as they change."),
    "license": ("console.license:license", "Show, check, install and remove licences."),
    "node": ("console.node:node", "Hand a node's roles over before it is serviced."),
    "records": ("console.records:records", "Show the history of the licensing, and verify it."),
    "request-code": ("console.request_code:request_code", "Print the text that asks the vendor for a licence."),
    "simulate": ("console.simulate:command", "Tell a story file and print the licence state after every event."),
    "site": ("console.site:site", "Found the site, back it up, restore it, add its second node."),
    "start-check": ("console.start_check:start_check", "Say whether a management node may start now."),
    "status": ("console.status:status", "Show the site's licence status."),
    "udev-rules": ("console.udev_rules:udev_rules", "Print the udev rules that give access to USB keys."),
    "usage": ("console.usage:usage", "Show or report how much of the licence is used."),
}
"""Every verb: where its click command is, and its line in the help."""


class Verbs(click.Group):
    """A click group that imports a verb's module only when the verb is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the verbs in the order of the help."""
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a verb's command."""
        if cmd_name not in VERBS:
            return None
        module, attribute = VERBS[cmd_name][0].split(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the verbs' help without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, VERBS[name][1]) for name in sorted(VERBS)])


@click.command(cls=Verbs)
@click.version_option(package_name="twinkey", prog_name="twinkey")
def main() -> None:
    """Twinkey: the licence agent of a two-node virtualisation platform."""
    for stream in (sys.stdout, sys.stderr):  # a terminal may know fewer characters than a licence's name has
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
