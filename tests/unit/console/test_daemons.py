"""How a daemon's code is loaded."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from console.daemons import code_that_stays

DAEMON = """
import gc, sys, types
def main(config):
    return 0 if gc.isenabled() and gc.get_freeze_count() > 1000 > len(gc.get_objects()) else 1
sys.modules["{name}.main"] = code = types.ModuleType("{name}.main")
code.main = main
from console.daemons import {name}
{name}([])
"""


@pytest.mark.parametrize("name", ["agent", "coordinator"])
def test_the_code_of_a_daemon_is_not_looked_through_for_garbage(name: str) -> None:
    """It would hold everybody up now and then, and the node that takes over when it stops."""
    done = subprocess.run((sys.executable, "-c", DAEMON.format(name=name)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_garbage_is_collected_again_when_the_code_cannot_be_loaded() -> None:
    """What goes wrong is raised as it is."""
    with pytest.raises(ImportError), code_that_stays():
        raise ImportError
    assert gc.isenabled()
