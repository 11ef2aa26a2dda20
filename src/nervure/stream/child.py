"""Start a program that cannot outlive its parent; run as a script.

``python child.py PARENT PROGRAM ARGUMENT…`` asks Linux to send SIGTERM to this process when the
parent dies (``prctl(2)``, PR_SET_PDEATHSIG), then becomes the program. A ``preexec_fn`` would do
the same, but runs Python between fork and exec, which can deadlock in a process with threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

__all__ = ["main", "tied"]

_PR_SET_PDEATHSIG = 1


def tied(*command: str) -> list[str]:
    """Return the command that runs a program, named by its whole path, and ends it when we do.

    "We" is the thread that starts it: Linux does not look at the process.
    """
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def main(arguments: list[str]) -> None:
    """Tie this process to its parent and become the program."""
    parent, program = int(arguments[0]), arguments[1]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it died before the request took hold
        raise SystemExit(1)
    os.execv(program, arguments[1:])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
