#!/usr/bin/env python3
"""What `helm test` runs: asks every coordinator whether it is ready and, given a token, what the licence's status is.

Exit code 0 when all that should be there answer. What it needs to know comes in ASK_… variables from the chart.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import sys
from pathlib import Path

WITHIN = 10.0
OK = 200


class Named(http.client.HTTPSConnection):
    """HTTPS to an address, whose certificate must have `name`."""

    def __init__(self, address: str, port: int, name: str, authority: str) -> None:
        self._checked = ssl.create_default_context(cafile=authority)
        super().__init__(address, port, timeout=WITHIN, context=self._checked)
        self._name = name

    def connect(self) -> None:
        """Connect, and refuse a certificate of another name."""
        plain = socket.create_connection((self.host, self.port), WITHIN)
        self.sock = self._checked.wrap_socket(plain, server_hostname=self._name)


def ask(address: str, path: str, token: str = "") -> tuple[int, bytes]:
    """Return code and body of the answer; OSError where none comes."""
    port, authority = int(os.environ["ASK_PORT"]), os.environ.get("ASK_AUTHORITY")
    connection = (
        Named(address, port, os.environ["ASK_SERVER_NAME"], authority)
        if authority
        else http.client.HTTPConnection(address, port, timeout=WITHIN)
    )
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def complaint(address: str, token: str) -> str:
    """Say what is wrong with one coordinator; an empty text where nothing is."""
    try:
        code, body = ask(address, "/readyz")
        if code == OK and token:
            code, body = ask(address, "/v1/status", token)
    except (OSError, http.client.HTTPException) as error:
        return f"does not answer: {error}"
    if code != OK:
        return f"answers {code}: {body.decode(errors='replace').strip()}"
    status = json.loads(body)["license"]["status"] if token else "not asked for, without a token"
    sys.stdout.write(f"{address} is ready; the licence's status: {status}\n")
    return ""


def main() -> str:
    """Ask all of them; return a text of what is wrong."""
    file = os.environ.get("ASK_TOKEN_FILE")
    token = Path(file).read_text(encoding="utf-8").strip() if file else ""
    found = socket.getaddrinfo(os.environ["ASK_SERVICE"], None, type=socket.SOCK_STREAM)
    addresses = sorted({str(each[4][0]) for each in found})
    wrong = [f"{address} {why}" for address in addresses if (why := complaint(address, token))]
    if len(addresses) != (expected := int(os.environ["ASK_EXPECTED"])):
        wrong.append(f"{len(addresses)} coordinators run instead of {expected}: see kubectl get pods")
    return "\n".join(wrong)


if __name__ == "__main__":
    sys.exit(main() or None)
