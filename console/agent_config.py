"""The agent's settings file, for verbs that look at this machine's USB bus as the agent would."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import click

from agent.settings import AgentSettings
from cluster.settings import BadSettings, read_settings
from usbwatch.driver import Ids, parse_ids

DEFAULT = Path("/etc/twinkey/agent.toml")

config_option = click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"The agent's settings file.  [default: {DEFAULT} where it is]",
)


class UsbSettings(NamedTuple):
    """What the agent is told about the bus: which sticks are keys, and how many seconds a reading may take."""

    stick_ids: tuple[Ids, ...]
    read_deadline: float


def usb_settings(config: Path | None) -> UsbSettings:
    """Return what the settings file says, or the defaults where none is named and none is in its place.

    Raises:
        click.ClickException: it cannot be used.
    """
    path = config or (DEFAULT if DEFAULT.exists() else None)
    if path is None:
        return UsbSettings((), AgentSettings(site_id="none").read_deadline)
    try:
        settings = read_settings(path, AgentSettings, os.environ)
    except BadSettings as error:
        raise click.ClickException(str(error)) from error
    return UsbSettings(tuple(map(parse_ids, settings.stick_ids)), settings.read_deadline)
