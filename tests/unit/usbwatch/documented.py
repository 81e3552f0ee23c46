"""The driver that CONTRIBUTING.md shows, taken from there; as a program, the worker that has it among its drivers.

Usage: documented.py SOCKET
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

from usbwatch import driver, worker

_PAGE = Path(__file__).parents[3] / "CONTRIBUTING.md"


def registered(socket: str) -> driver.Driver:
    """Load the documented module, let it look for its daemon there, and return the documented entry of `DRIVERS`."""
    module_text, entry_text = re.findall(r"```python\n(.*?)```", _PAGE.read_text(encoding="utf-8"), re.DOTALL)
    entry = eval(entry_text, vars(driver))  # noqa: S307 - it stands in that module
    assert isinstance(entry, driver.Driver)
    module = ModuleType(entry.module)
    exec(compile(module_text, str(_PAGE), "exec", dont_inherit=True), vars(module))  # noqa: S102 - idem
    vars(module)["SOCKET"] = socket
    sys.modules[entry.module] = module
    return entry


if __name__ == "__main__":
    worker.main((*driver.DRIVERS, registered(sys.argv[1])))
