"""Start a program that dies with the demo, even when the demo itself is killed outright.

The demo starts every program through this file. It asks the kernel for a SIGKILL at the parent's death and then becomes
the program; the request survives exec. A `preexec_fn` would do the same in a fork of a process that runs gRPC threads,
which is not safe. Run as a plain file, so it may import nothing of ours.

Usage: python demo_child.py PARENT_PID PROGRAM [ARGUMENT...]
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Bind this process to its parent and replace it with the program."""
    parent, program = int(arguments[0]), arguments[1:]
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it died before the request was made
        raise SystemExit(1)
    os.execvp(program[0], program)  # noqa: S606 - becoming the program is the purpose


if __name__ == "__main__":
    main(sys.argv[1:])
