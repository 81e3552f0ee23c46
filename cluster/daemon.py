"""A daemon as a command: its settings are read, its log is set up, it runs, and it ends with an exit code."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol, TypeVar

from cluster.daemon_log import complain, log_to_stderr
from cluster.service_manager import ServiceManager
from cluster.settings import BadSettings, read_settings

log = logging.getLogger(__name__)

DONE, FAILED, MISUSED = 0, 1, 2


class HasLogLevel(Protocol):
    """Settings of a daemon, as far as they matter here."""

    @property
    def log_level(self) -> str:
        """The least that is worth a line in the log."""


T = TypeVar("T", bound=HasLogLevel)


def run_daemon(
    config: Path | None,
    kind: type[T],
    run: Callable[[T, ServiceManager], Coroutine[Any, Any, None]],
    to_put_right: tuple[type[Exception], ...],
) -> int:
    """Run a daemon until it is told to stop; return its exit code: 0 done, 1 failed, 2 bad settings.

    `kind` declares its settings. `to_put_right`: errors whose text says all that an operator needs.
    """
    manager = ServiceManager.taken_from(os.environ)
    try:
        settings = read_settings(config, kind, os.environ)  # type: ignore[type-var]
    except BadSettings as error:
        complain(f"twinkey: {error}")
        manager.say(f"Bad settings: {error}")
        return MISUSED
    log_to_stderr(settings.log_level)
    try:
        asyncio.run(run(settings, manager))
    except to_put_right as error:
        log.error("daemon stops", extra={"why": error})  # noqa: TRY400 - the text says it all
        manager.say(f"Stopped: {error}")
        return FAILED
    except Exception:
        log.exception("daemon failed")
        return FAILED
    return DONE
