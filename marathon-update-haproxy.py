#!/usr/bin/env python3
"""
Write HAProxy's configuration once, and reload HAProxy where something changed; see ``--help``.

This file runs from a checkout; an installed marathon-lb has the command ``marathon-update-haproxy``.
"""

import os
import sys
from pathlib import Path

VENV = Path(__file__).resolve().parent / ".venv"


def main() -> None:
    """Run the script, in the checkout's own environment where this Python lacks what it needs."""
    try:
        from marathonlb.cli import script
    except ModuleNotFoundError as missing:
        python = VENV / "bin" / "python"
        if python.exists() and Path(sys.prefix).resolve() != VENV.resolve():
            os.execv(python, [str(python), *sys.argv])
        sys.exit(f"marathon-update-haproxy: {missing}; run make venv, or pip install marathon-lb")
    script()


if __name__ == "__main__":
    main()
