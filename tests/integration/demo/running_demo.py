"""A real demo for tests: started as a process in a folder and on ports of its own, and driven as a person would."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.demo_places import LOOPBACK
from tests.etcd_server import free_ports
from tests.waiting import eventually_sync

if TYPE_CHECKING:
    from collections.abc import Sequence

TWINKEY = str(Path(sys.executable).with_name("twinkey"))
UP_WITHIN = 40.0


class RunningDemo:
    """One `twinkey demo --json` in `here`; `events` is what it has printed so far."""

    def __init__(self, here: Path, *options: str, ports: Sequence[int] | None = None) -> None:
        self.here = here
        self.folder = here / ".demo"
        self.ports = ports or free_ports(2)
        self.events: list[dict[str, Any]] = []
        chosen = ("--port-a", str(self.ports[0]), "--port-b", str(self.ports[1]), "--json", *options)
        self.process = subprocess.Popen(
            [TWINKEY, "demo", *chosen], cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_until_ready(self) -> RunningDemo:
        """Wait for the site to be up."""
        eventually_sync(lambda: self.events or self.process.poll() is not None, within=UP_WITHIN)
        assert self.events, self.errors()
        return self

    @property
    def ready(self) -> dict[str, Any]:
        """Return what the demo says of itself when it is up."""
        return self.events[0]

    def twinkey(self, *arguments: str, code: int = 0) -> str:
        """Run a command beside the demo; return its output. `code` is the exit code that is expected."""
        result = subprocess.run([TWINKEY, *arguments], cwd=self.here, capture_output=True, text=True, check=False)
        assert result.returncode == code, (arguments, result.stdout, result.stderr)
        return result.stdout + result.stderr

    def do(self, *verb: str, code: int = 0) -> str:
        """Run a verb of the demo."""
        return self.twinkey("demo", *verb, code=code)

    def status(self, label: str = "a") -> dict[str, Any]:
        """Return the status that this node serves."""
        connection = HTTPConnection(LOOPBACK, self.ports["ab".index(label)], timeout=5)
        with closing(connection):
            connection.request("GET", "/v1/status", headers={"Authorization": f"Bearer {self.ready['token']}"})
            status: dict[str, Any] = json.load(connection.getresponse())
        return status

    def becomes(self, label: str = "a", within: float = 5.0, **members: Any) -> dict[str, Any]:
        """Wait until the node serves a status with these members."""

        def shown() -> dict[str, Any]:
            status = self.status(label)
            assert {name: status[name] for name in members} == members
            return status

        return eventually_sync(shown, within=within)

    def keys(self, label: str) -> dict[str, str]:
        """Return the readings of the keys that the site sees in this node."""
        nodes = {node["name"]: node for node in self.status()["nodes"]}
        return {key["keyId"]: key["reading"] for key in nodes[label]["ukeys"]}

    def children(self) -> dict[int, str]:
        """Return the command lines of the processes that the demo has started."""
        pids = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode() for pid in pids}

    def child(self, words: str) -> int:
        """Return the process whose command line has these words."""
        found = [pid for pid, command in self.children().items() if words in command]
        if not found:
            raise LookupError(words)
        return found[0]

    def end(self, how: signal.Signals = signal.SIGINT, within: float = 5.0) -> int:
        """Send a signal, wait for the end, and return the exit code."""
        self.process.send_signal(how)
        return self.process.wait(within)

    def is_over_after(self, how: signal.Signals) -> bool:
        """Send a signal unless the demo has ended; tell whether it has."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.poll() is not None

    def close(self) -> None:
        """End it however it is."""
        if self.process.poll() is None:
            self.end()
        self._reader.join(5)

    def errors(self) -> str:
        """Return what it said on standard error, once it has ended."""
        self.process.wait(UP_WITHIN)
        assert self.process.stderr
        return self.process.stderr.read()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.events.append(json.loads(line))


def gone(pids: dict[int, str]) -> bool:
    """Tell whether none of these processes is left; one that waits to be reaped by a far parent counts as gone."""
    return not any(_runs(pid, command) for pid, command in pids.items())


def _runs(pid: int, command: str) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode() == command
    except FileNotFoundError:
        return False
