"""A webhook on this machine, at an address that may come later than the webhook itself."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

_IP_FREEBIND = 15
"""Of Linux; Python does not name it."""


class Webhook(ThreadingHTTPServer):
    """Keeps the alerts that Alertmanager tells it."""

    daemon_threads = True

    def __init__(self, address: str) -> None:
        self.alerts: list[dict[str, Any]] = []
        super().__init__((address, 0), _Handler)

    def server_bind(self) -> None:
        """Bind although no interface has the address yet."""
        self.socket.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        super().server_bind()

    @property
    def url(self) -> str:
        """Where it takes alerts."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}/alerts"

    def told(self, name: str) -> list[dict[str, Any]]:
        """Return what was told of the alert of this name."""
        return [alert for alert in self.alerts if alert["labels"]["alertname"] == name]


class _Handler(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.alerts.extend(message["alerts"])
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@contextmanager
def listening(address: str) -> Iterator[Webhook]:
    """Run a webhook meanwhile."""
    with Webhook(address) as webhook:
        thread = Thread(target=webhook.serve_forever)
        thread.start()
        try:
            yield webhook
        finally:
            webhook.shutdown()
            thread.join()
