"""`twinkey doctor`: why this machine does or does not see USB keys, line by line, with what to do."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from console.agent_config import config_option, usb_settings
from console.connecting import ERROR
from console.terminal import printable, waiting
from usbwatch.access import User, this_user, user_named
from usbwatch.checkup import Finding, Host, Level, checkup, read_keys
from usbwatch.driver import drivers_with

_COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "red"}
_INDENT = " " * 9


@click.command()
@config_option
@click.option("--user", "name", help="Whether this user may read the keys.  [default: who runs this]")
@click.option("--read", is_flag=True, help="Read every key too; as who runs this, whatever --user says.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON, for programs.")
def doctor(config: Path | None, name: str | None, *, read: bool, as_json: bool) -> None:
    """Check this machine's USB bus: the exit code is 1 when there is a problem, else 0.

    No device is opened, except licence keys with --read.
    """
    settings = usb_settings(config)
    drivers, host, user = drivers_with(settings.stick_ids), Host(), _user(name)
    try:
        findings = checkup(host, user, drivers)
        if read:
            with waiting("Reading the keys"):
                findings += asyncio.run(read_keys(host, drivers, settings.read_deadline))
    except OSError as error:
        raise click.ClickException(f"the kernel's tables cannot be read: {error}. Run this as root.") from error
    _print(findings, user, as_json=as_json)
    if any(finding.level is Level.PROBLEM for finding in findings):
        sys.exit(ERROR)


def _user(name: str | None) -> User:
    try:
        return user_named(name) if name else this_user()
    except LookupError as error:
        raise click.UsageError(str(error)) from error


def _print(findings: Sequence[Finding], user: User, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode({"user": user.name, "findings": findings}))
        return
    for finding in findings:
        level = click.style(f"{finding.level.value:<{len(_INDENT)}}", fg=_COLOURS[finding.level])
        click.echo(f"{level}{printable(finding.about)}: {printable(finding.text)}")
        if finding.advice:
            click.echo(f"{_INDENT}{printable(finding.advice)}")
