"""What the clocks of the machines show on which other etcd members run: the site's witnesses in questions of time.

Every etcd member answers `GET /version` on its client port, with no password, and HTTP puts a `Date` on the answer. A
member on this very machine has the same clock as we, so it is no witness and is not asked.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import socket
import ssl
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING

import aiohttp

from licensing.value import is_possible

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster.settings import EtcdSettings

log = logging.getLogger(__name__)

DEADLINE = 1.0
"""Seconds that all members together have for their answers; who is later has no vote."""


def is_ours(address: str) -> bool:
    """Whether the IP address is one of this machine's: what the kernel would call from is then the address itself.

    Nothing is sent. Binding to the address would not tell: a machine with a virtual IP may be allowed to bind to any.
    """
    try:
        family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET  # noqa: PLR2004
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            return ip_address(address).is_loopback or str(probe.getsockname()[0]) == address
    except (OSError, ValueError):  # no way to it, or a name: certainly not here
        return False


class MemberClocks:
    """Asks the members that the `[etcd]` settings name; `ours` tells which addresses are this machine's."""

    def __init__(
        self, settings: EtcdSettings, deadline: float = DEADLINE, *, ours: Callable[[str], bool] = is_ours
    ) -> None:
        self._settings = settings
        self._deadline = deadline
        self._ours = ours

    async def elsewhere(self) -> bool:
        """Whether some member is, or may be, on another machine."""
        return bool(await self._machines())

    async def read(self) -> dict[str, dt.datetime]:
        """Return what the clock of each other machine shows, in whole seconds; nothing for one that does not say."""
        try:
            tls = self._tls()
        except OSError as error:  # ssl.SSLError is one too
            log.warning("the certificates for etcd cannot be used to ask for the time", extra={"why": error})
            return {}
        machines = await self._machines()
        timeout = aiohttp.ClientTimeout(total=self._deadline)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(ssl=tls or True)) as session:
            scheme = "https" if tls else "http"
            urls = [f"{scheme}://{endpoint}/version" for endpoint in machines.values()]
            shown = await asyncio.gather(*(_date(session, url) for url in urls))
        return {machine: at for machine, at in zip(machines, shown, strict=True) if at is not None}

    async def _machines(self) -> dict[str, str]:
        """Return one endpoint for each other machine, by its address; a name that is unknown just now counts as one."""
        addresses = await asyncio.gather(*(self._address(endpoint) for endpoint in self._settings.endpoints))
        pairs = zip(addresses, self._settings.endpoints, strict=True)
        return {address: endpoint for address, endpoint in pairs if not self._ours(address)}

    async def _address(self, endpoint: str) -> str:
        host = endpoint.rpartition(":")[0].strip("[]")
        try:
            async with asyncio.timeout(self._deadline):
                found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError:  # TimeoutError is one too
            return host
        return str(found[0][4][0])

    def _tls(self) -> ssl.SSLContext | None:
        if self._settings.ca is None:
            return None
        context = ssl.create_default_context(cafile=self._settings.ca)
        if self._settings.cert is not None:
            context.load_cert_chain(self._settings.cert, self._settings.key)
        return context


async def _date(session: aiohttp.ClientSession, url: str) -> dt.datetime | None:
    """Return the date of the answer; None for whoever does not answer in time or names none that can be."""
    try:
        async with session.get(url, allow_redirects=False) as answer:
            at = parsedate_to_datetime(answer.headers.get("Date", ""))
    except (aiohttp.ClientError, OSError, ValueError, OverflowError, ssl.CertificateError) as error:
        log.debug("no time from %s: %r", url, error)
        return None
    return at.astimezone(dt.UTC) if at.tzinfo and is_possible(at) else None
