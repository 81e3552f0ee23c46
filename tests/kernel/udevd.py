"""A udevd in the guest, with no other rule of ours than what `twinkey udev-rules` prints."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from signal import SIGKILL

from tests.kernel.image import UNPACKED
from tests.kernel.machine import Machine
from tests.site import TWINKEY
from tests.waiting import eventually_sync

_RULES = "/run/udev/rules.d/70-twinkey.rules"
_LIBRARIES = UNPACKED / "usr/lib/x86_64-linux-gnu"


@contextmanager
def udevd(machine: Machine) -> Iterator[None]:
    """Run udevd with our rule until the context is left."""
    rules = subprocess.run([TWINKEY, "udev-rules"], capture_output=True, check=True, timeout=20).stdout
    machine.write(_RULES, rules)
    argv = [str(UNPACKED / "lib/systemd/systemd-udevd")]
    machine.order("start", name="udevd", argv=argv, environment={"LD_LIBRARY_PATH": str(_LIBRARIES)})
    eventually_sync(lambda: machine.order("exists", path="/run/udev/control"), 10, "udevd does not start")
    try:
        yield
    finally:
        machine.order("send", name="udevd", number=SIGKILL)
        machine.order("remove", path="/run/udev/control")
        machine.order("remove", path=_RULES)
