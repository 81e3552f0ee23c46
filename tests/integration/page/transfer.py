"""How many bytes came over the network for a page, by the browser's account: headers and bodies as they were sent."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

Event = dict[str, Any]


class Transfer:
    """Counts from its making on; a stream that has not ended counts with what came of it so far."""

    def __init__(self, page: Page) -> None:
        self._finished: dict[str, tuple[float, int]] = {}
        self._so_far: dict[str, int] = {}
        self._painted: float | None = None
        session = page.context.new_cdp_session(page)
        session.on("Network.dataReceived", self._came)
        session.on("Network.loadingFinished", self._ended)
        session.on("Page.lifecycleEvent", self._lived)
        for method in ("Network.enable", "Page.enable"):
            session.send(method)
        session.send("Page.setLifecycleEventsEnabled", {"enabled": True})

    @property
    def painted(self) -> bool:
        """Whether anything was painted yet that a person can see."""
        return self._painted is not None

    @property
    def until_first_paint(self) -> int:
        """Bytes of all that had come when something was painted first."""
        assert self._painted is not None
        return sum(size for at, size in self._finished.values() if at <= self._painted)

    @property
    def total(self) -> int:
        """Bytes of all that came."""
        streams = {name: size for name, size in self._so_far.items() if name not in self._finished}
        return sum(size for _, size in self._finished.values()) + sum(streams.values())

    def _came(self, event: Event) -> None:
        name = event["requestId"]
        self._so_far[name] = self._so_far.get(name, 0) + int(event["encodedDataLength"])

    def _ended(self, event: Event) -> None:
        self._finished[event["requestId"]] = (event["timestamp"], int(event["encodedDataLength"]))

    def _lived(self, event: Event) -> None:
        if event["name"] == "firstContentfulPaint":
            self._painted = event["timestamp"]
