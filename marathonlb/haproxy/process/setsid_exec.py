"""
Starts a program in a session of its own, so that no signal for the controller's group reaches it.

Run by path, not by name (``python -I -S setsid_exec.py PROGRAM ARGUMENTS``): it needs nothing but the standard library,
and the process keeps its id when it becomes the program.
"""

from __future__ import annotations

import os
import sys


def main(argv: list[str]) -> None:
    """Leave the session and become the program."""
    try:
        os.setsid()
    except PermissionError:
        # It leads a group already, so it has left.
        os.setpgid(0, 0)
    try:
        os.execv(argv[0], argv)
    except OSError as error:
        sys.exit(f"[ALERT] ({os.getpid()}) : {argv[0]} cannot be executed: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
