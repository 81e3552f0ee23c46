"""The release before this one, frozen as a wheel beside this file, and sites on which it runs beside this version.

Before there was a release the wheel is a made-up one: this tree as it was without what `Report.version` brought.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.site import Daemon, LiveSite, Status, node_in

OLDER = Path(__file__).with_name("older")
(WHEEL,) = OLDER.glob("twinkey-*.whl")
VERSION = WHEEL.name.split("-")[1]
COMMAND = "from console.main import main; main()"


class OlderDaemon(Daemon):
    """A daemon of the older release, of a node that may have run this version before."""

    def __init__(self, verb: str, site: LiveSite, label: str, code: Path) -> None:
        super().__init__(verb, site.nodes[label])
        self._command = [sys.executable, "-c", COMMAND, verb, "--config", f"{label}/{verb}.toml"]
        self.environment = {"PYTHONPATH": str(code)}


class MixedSite(LiveSite):
    """A site of which some nodes run the older release; `releases` is kept when a node is started again."""

    def __init__(self, folder: Path, older: tuple[str, ...]) -> None:
        super().__init__(folder)
        self._code = unpack(folder / "older-release")
        for label in older:
            self.install(label, older=True)

    def install(self, label: str, *, older: bool) -> None:
        """Exchange the software of a node whose daemons do not run."""
        for verb, daemons in (("agent", self.agents), ("coordinator", self.coordinators)):
            assert not daemons[label].running
            daemons[label] = OlderDaemon(verb, self, label, self._code) if older else Daemon(verb, self.nodes[label])


def unpack(folder: Path) -> Path:
    """Unpack the wheel and make sure that its code is what would run."""
    with zipfile.ZipFile(WHEEL) as wheel:
        wheel.extractall(folder)
    look = "import cluster.report, importlib.metadata as m; print(m.version('twinkey'), cluster.report.__file__)"
    environment = os.environ | {"PYTHONPATH": str(folder)}
    found = subprocess.run(
        [sys.executable, "-c", look], env=environment, cwd=folder, capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == [VERSION, str(folder / "cluster" / "report.py")]
    return folder


def version_in(status: Status, label: str) -> str:
    """Return which version a node runs, as a status of this version tells."""
    version: str = node_in(status, label)["version"]
    return version


def licensed(status: Status) -> bool:
    """Whether the site has a licence that can be used, trial or not."""
    return status["license"]["status"] == "Valid" and not status["restricted"] and status["startAllowed"]


def told_to_upgrade(status: Status) -> bool:
    """Whether a status says that a node is to be upgraded."""
    return "upgrade-needed" in status["alerts"] and "upgrade it" in json.dumps(status["reasons"])
