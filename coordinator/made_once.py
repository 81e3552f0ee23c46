"""What is made when it is first asked for, because making it takes long and most nodes are never asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class MadeOnce:
    """Bytes that `make` makes in a thread at the first `get`, and that are kept; other calls are answered meanwhile.

    Where making them failed, it is tried again for the next who asks.
    """

    def __init__(self, make: Callable[[], bytes]) -> None:
        self._make = make
        self._making: asyncio.Future[bytes] | None = None

    async def get(self) -> bytes:
        """Return them; what goes wrong in making them is raised for everybody who waits for them."""
        if self._making is None or (self._making.done() and (self._making.cancelled() or self._making.exception())):
            self._making = asyncio.ensure_future(asyncio.to_thread(self._make))
        return await asyncio.shield(self._making)  # who gives up waiting does not end it for the others
