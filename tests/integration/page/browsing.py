"""Debian's Chromium for tests, and somebody who watches for everything that the page must never do.

Nothing here reaches further than loopback: what the page asks of another host is a fault, and would find nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Request, expect, sync_playwright

from cluster.local_etcd import LOOPBACK
from tests.integration.page.page_site import NAME

Theme = Literal["light", "dark"]

CHROMIUM = "/usr/bin/chromium"
OPTIONS = (
    "--no-sandbox",  # the tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--host-resolver-rules=MAP {NAME} {LOOPBACK}",
)
PATIENCE = 30_000
"""Milliseconds that anything on the page may take; two processors are shared by many."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run one browser for the length of the context."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(OPTIONS))
        try:
            yield browser
        finally:
            browser.close()


class Watch:
    """Notes every fault of the pages of one browser context, whose pages belong to one origin alone."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.faults: list[str] = []
        self.requests: list[str] = []
        self._origin = origin
        context.on("console", self._heard)
        context.on("weberror", lambda error: self._fault(f"uncaught: {error.error}"))
        context.on("request", self._asked)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not (self._is_a_refusal(message) or _is_about_plain_http(message)):
            self._fault(f"console {message.type}: {message.text} ({message.location.get('url', '')})")

    def _is_a_refusal(self, message: ConsoleMessage) -> bool:
        """Tell whether the browser only notes that a call was refused or a node away: the page must cope with both."""
        return message.text.startswith("Failed to load resource") and urlsplit(
            message.location.get("url", "")
        ).path.startswith("/v1/")

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)
        if not request.url.startswith((f"{self._origin}/", f"blob:{self._origin}/")):
            self._fault(f"asked somebody else: {request.url}")

    def _fault(self, text: str) -> None:
        self.faults.append(text)


def _is_about_plain_http(message: ConsoleMessage) -> bool:
    """Tell whether the browser notes that a header only counts over TLS, as it does where a node is called by name."""
    return message.text.startswith("The Cross-Origin-Opener-Policy header has been ignored")
