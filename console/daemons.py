"""`twinkey agent` and `twinkey coordinator`: the daemons, started from the command line."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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
    with code_that_stays():
        from agent.main import main  # noqa: PLC0415 - each daemon loads only what it needs

    sys.exit(main(config))


@click.command()
@_config
def coordinator(config: Path | None) -> None:
    """Take part in the election, decide while leading, and answer over HTTP until stopped."""
    with code_that_stays():
        from coordinator.main import main  # noqa: PLC0415 - each daemon loads only what it needs

    sys.exit(main(config))


@contextmanager
def code_that_stays() -> Iterator[None]:
    """Import meanwhile what lives as long as the process, so that Python never looks through it for garbage.

    That would take a coordinator's core 35 ms each time: while it is imported, now and then while it runs, and thrice
    when it ends, just as the other node takes over.
    """
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
