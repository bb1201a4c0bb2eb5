"""
Starts a program in a session of its own, so that no signal to the controller's process group reaches it.

Run by path, not by name (``python -I -S setsid_exec.py PROGRAM ARGUMENTS``): it needs only the standard library, and
the process keeps its id when it becomes the program.
"""

from __future__ import annotations

import os
import sys


def main(argv: list[str]) -> None:
    """Leave the session and execute the program."""
    try:
        os.setsid()
    except PermissionError:
        # The process leads a process group already, so it has left the controller's.
        os.setpgid(0, 0)
    try:
        os.execv(argv[0], argv)
    except OSError as error:
        sys.exit(f"[ALERT] ({os.getpid()}) : {argv[0]} cannot be executed: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
