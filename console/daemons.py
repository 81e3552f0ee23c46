"""`twinkey agent` and `twinkey coordinator`: the daemons, started from the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import click

_config = click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The settings file (TOML); without it the environment alone (TWINKEY_…) is read.",
)


@click.command()
@_config
def agent(config: Path | None) -> None:
    """Report this node's USB keys, virtual IP and fingerprint to etcd until stopped."""
    from agent.main import main  # noqa: PLC0415 - each daemon loads only what it needs

    sys.exit(main(config))


@click.command()
@_config
def coordinator(config: Path | None) -> None:
    """Take part in the election, decide while leading, and answer over HTTP until stopped."""
    from coordinator.main import main  # noqa: PLC0415 - each daemon loads only what it needs

    sys.exit(main(config))
