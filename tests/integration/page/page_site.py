"""The site that the page is tried on: a live site with one token for each kind of operator.

What it asks of etcd is asked in a thread of its own, because the browser's event loop runs in the thread of the tests.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from pathlib import Path
from typing import TypeVar

from cluster.store import Store
from coordinator.sessions import COOKIE
from licensing.inforce import USB_KEY
from tests.site import LiveSite, Status, keys_in, removal_settled

T = TypeVar("T")

ADMIN = "an-administrator-of-the-tests"
OTHER_ADMIN = "another-administrator-of-the-tests"
READER = "a-reader-of-the-tests"
NAME = "node.test"
"""A name under which browsers reach the nodes; only the browser of the tests knows it."""
TOKENS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "anna": (ADMIN, ("read", "usage", "admin")),
    "bob": (OTHER_ADMIN, ("read", "usage", "admin")),
    "rita": (READER, ("read",)),
}
"""The tokens by the names of those who have them, with what they allow."""


class PageSite(LiveSite):
    """A live site that knows anna and bob, who administer it, and rita, who may only read."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._beside = ThreadPoolExecutor(1)
        self._sessions: dict[str, str] = {}
        tokens = folder / "tokens.json"
        known = json.loads(tokens.read_bytes())
        known["tokens"] += [_hashed(name, text, scopes) for name, (text, scopes) in TOKENS.items()]
        tokens.write_text(json.dumps(known), encoding="utf-8")
        for node in self.nodes.values():
            settings = node.folder / "coordinator.toml"
            text = settings.read_text(encoding="utf-8")
            settings.write_text(f'host_names = ["{NAME}"]\n{text}', encoding="utf-8")

    def launch(self) -> None:
        """Start what does not run, in the thread that lasts as long as the site: the daemons die with it."""
        self._beside.submit(super().launch).result()

    def reset(self) -> None:
        """Bring the site back to rest; here a licence for the site may be in force in the place of a key's."""
        for node in self.nodes.values():
            for file in node.bus.iterdir():
                file.unlink()
        self.start()
        self.wait_for_all(lambda status: not any(keys_in(status).values()) and at_rest(status))

    def session(self, token: str) -> str:
        """Return the cookie of somebody who has signed in, which counts on both nodes."""
        if token not in self._sessions:
            answer = self.call("a", "POST", "/v1/session", json.dumps({"token": token}).encode())
            self._sessions[token] = SimpleCookie(answer.headers["Set-Cookie"])[COOKIE].value
        return self._sessions[token]

    def in_store(self, work: Callable[[Store], Awaitable[T]]) -> T:
        """Do something with the store."""
        return self._beside.submit(super().in_store, work).result()

    def close(self) -> None:
        """Kill everything."""
        super().close()
        self._beside.shutdown()


def at_rest(status: Status) -> bool:
    """Tell whether nothing is to come of a key's removal that would change the licence in force."""
    return removal_settled(status) or status["license"]["source"] != USB_KEY


def _hashed(name: str, text: str, scopes: tuple[str, ...]) -> dict[str, object]:
    return {"name": name, "sha256": hashlib.sha256(text.encode()).hexdigest(), "scopes": scopes}
