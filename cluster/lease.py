"""Keeping one lease alive, and knowing for how long it can be relied on.

Knows nothing of what the lease is for. The one rule: the lease is trusted until the moment its last acknowledged
renewal was *sent*, plus its time to live, minus a margin. The clock must run while the machine is suspended.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from cluster.pulse import Pulse
from cluster.store import LeaseLost, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster.store import Store
    from cluster.timings import Timings

    Clock = Callable[[], float]

log = logging.getLogger(__name__)

_PAUSE = 0.1


def boottime() -> float:
    """Return the seconds since boot, time in suspend included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class LeaseKeeper:
    """One life of one lease: from `start` until it is lost or closed; take a new one after that.

    `lost` beats once when the lease can no longer be trusted, and `why` then says why. It does not when it is closed.
    """

    def __init__(
        self, store: Store, lease_id: int, trusted_until: float, timings: Timings, clock: Clock = boottime
    ) -> None:
        self.lease_id = lease_id
        self.trusted_until = trusted_until
        self.lost = Pulse()
        self.why = ""
        self._store = store
        self._timings = timings
        self._clock = clock
        self._task = asyncio.create_task(self._keep(), name=f"lease {lease_id:x}")

    @classmethod
    async def start(cls, store: Store, ttl: int, timings: Timings, clock: Clock = boottime) -> LeaseKeeper:
        """Ask for a lease of `ttl` seconds and begin to renew it every `timings.renew` seconds.

        Raises:
            Unavailable: the store does not answer; try again later.
        """
        sent = clock()
        lease = await store.grant(ttl)
        return cls(store, lease.lease_id, sent + lease.ttl - timings.margin, timings, clock)

    @property
    def trusted(self) -> bool:
        """Whether the store cannot have ended the lease yet."""
        return not self.lost.count and self._clock() < self.trusted_until

    async def close(self) -> None:
        """Stop renewing and revoke the lease at once, so that others need not wait for it to run out.

        Whoever is cancelled meanwhile may close it again.
        """
        self.trusted_until = float("-inf")
        self._task.cancel()
        await asyncio.wait([self._task])  # who is cancelled meanwhile is told so
        try:
            await self._store.revoke(self.lease_id)
        except StoreError as error:
            log.info("lease %x is left to run out: %s", self.lease_id, error)

    async def _keep(self) -> None:
        why = "renewing it failed"
        try:
            while True:
                await asyncio.sleep(self._timings.renew)
                await self._renew()
        except asyncio.CancelledError:
            why = ""
            raise
        except TimeoutError:
            why = "no renewal was acknowledged in time"
        except StoreError as error:
            why = str(error)
        finally:
            if why:
                self._give_up(why)

    async def _renew(self) -> None:
        """Renew once, trying again while the lease is trusted."""
        async with asyncio.timeout(self.trusted_until - self._clock()):
            while True:
                sent = self._clock()
                try:
                    ttl = await self._store.keep_alive(self.lease_id)
                except LeaseLost:
                    raise
                except StoreError as error:
                    log.info("lease %x: %s", self.lease_id, error)
                    await asyncio.sleep(_PAUSE)
                else:
                    self.trusted_until = sent + ttl - self._timings.margin
                    return

    def _give_up(self, why: str) -> None:
        self.why = why
        self.trusted_until = float("-inf")
        log.warning("lease %x is lost: %s", self.lease_id, why)
        self.lost.beat()
