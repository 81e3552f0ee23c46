"""Python code that is compiled before it is measured, as that of an installed product is.

A tree from which the tests run need not have its own code compiled, while its libraries came compiled: a start would
then be the compiler's time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def compiled_code() -> Iterator[Mapping[str, str]]:
    """Yield an environment in which Python keeps what it compiles, in a folder of its own: whatever runs twice is fast.

    The code of libraries is kept there, too, so that product and floor are alike.
    """
    with tempfile.TemporaryDirectory(prefix="twinkey-bench-") as folder:
        yield {"PYTHONPYCACHEPREFIX": folder, "PYTHONDONTWRITEBYTECODE": ""}
