"""What the service manager (systemd) is told of a daemon: that it is ready, rereads its files, lives, and what it does.

A message is one datagram of `NAME=value` lines, as sd_notify(3) has it. That is written here by hand: the package
`sdnotify` is no longer looked after and does not know of reloads. A daemon that nobody manages has an `ALONE`, which
does nothing. Knows no daemon.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

log = logging.getLogger(__name__)

SENT_WITHIN = 1.0
"""Seconds that a message may wait for room; the manager makes room at once unless the machine is in deep trouble."""


class ServiceManager:
    """Who started us and wants to know how we are; `watchdog` is how many seconds it waits for a sign of life, if any.

    `address` is the path of its socket, or with an `@` in front an abstract one; empty for nobody.
    """

    def __init__(self, address: str = "", watchdog: float = 0.0) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._watchdog = watchdog
        self._ready, self._said = False, ""

    @classmethod
    def taken_from(cls, environ: MutableMapping[str, str]) -> ServiceManager:
        """Return the one that the environment names, and remove it there: our children must not speak for us."""
        names = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
        address, microseconds, pid = (environ.pop(name, "") for name in names)
        ours = pid in {"", str(os.getpid())}
        return cls(address, int(microseconds) / 1e6 if microseconds.isdecimal() and ours else 0.0)

    def ready(self) -> None:
        """Say once that the daemon does its work."""
        if not self._ready:
            self._ready = True
            self._send("READY=1")

    def say(self, text: str) -> None:
        """Say in one line what the daemon does now, for `systemctl status`."""
        line = " ".join(text.split())
        if line != self._said:
            self._said = line
            self._send(f"STATUS={line}")

    def stopping(self) -> None:
        """Say that the daemon has begun to stop."""
        self._send("STOPPING=1")

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Say that the daemon rereads its files meanwhile."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={microseconds}")
        try:
            yield
        finally:
            self._send("READY=1")

    async def keep_alive(self) -> None:
        """Give a sign of life in time for ever; there is none while the event loop hangs."""
        if not self._watchdog:
            await asyncio.Event().wait()
        while True:
            self._send("WATCHDOG=1")
            await asyncio.sleep(self._watchdog / 2)

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(SENT_WITHIN)
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            log.warning("service manager is not told", extra={"message_was": lines[0], "why": error})


ALONE = ServiceManager()
