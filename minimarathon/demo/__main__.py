"""
``make run``: a minimarathon with sample apps, the load balancer and its HAProxy, on this machine, without root.

Starts them as processes of its own, says what to try when traffic flows, and ends all of them on Ctrl-C. With
``--marathon`` a real Marathon is used instead of a small one.
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
