"""`twinkey udev-rules`: prints the udev rules that give the agent access to USB licence keys."""

from __future__ import annotations

from pathlib import Path

import click

from console.agent_config import config_option, usb_settings
from usbwatch.udev_rules import render


@click.command("udev-rules")
@config_option
def udev_rules(config: Path | None) -> None:
    """Print the udev rules for USB keys, with the sticks that the agent's settings name; they say where to put them."""
    click.echo(render(usb_settings(config).stick_ids), nl=False)
