"""A process that cannot be ended: to its parent it looks as if it hung in the kernel, deaf to SIGKILL.

A debugger that never asks after a thread it has attached to keeps that thread, once killed, from going away, and
with it the whole process. Usage: python -m tests.usbmodel.undying THREAD_ID; it lets go when its stdin ends.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_SEIZE = 0x4206
_HELD = b"held\n"

VICTIM = """
import ctypes, threading, time
ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)  # anybody may attach
thread = threading.Thread(target=time.sleep, args=[60], daemon=True)
thread.start()
"""
"""What a Python process must do so that its `thread` can be held."""


@contextmanager
def held(thread_id: int) -> Iterator[None]:
    """Hold that thread, dead or alive, until the context is left."""
    argv = [sys.executable, "-m", "tests.usbmodel.undying", str(thread_id)]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, cwd=_ROOT) as debugger:
        assert debugger.stdout is not None
        assert debugger.stdout.readline() == _HELD
        yield
        debugger.communicate(timeout=10)


def main() -> None:
    """Attach, say so, and wait."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if libc.ptrace(_SEIZE, int(sys.argv[1]), None, None) != 0:
        raise OSError(ctypes.get_errno(), "cannot attach")
    sys.stdout.buffer.write(_HELD)
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
