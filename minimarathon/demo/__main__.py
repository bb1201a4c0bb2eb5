"""
``make run``: minimarathon with sample apps, marathon-lb and its HAProxy, on this machine, without root.

Starts them as child processes, prints instructions when traffic flows, and ends all of them on Ctrl-C. With
``--marathon`` a real Marathon is used instead of minimarathon.
"""

from __future__ import annotations

import os
import sys

from minimarathon.demo.plan import parse
from minimarathon.demo.run import Demo


def main() -> int:
    """Run the demonstration."""
    return Demo(parse(sys.argv[1:], os.environ)).run()


if __name__ == "__main__":
    sys.exit(main())
