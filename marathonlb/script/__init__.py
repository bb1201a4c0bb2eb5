"""
What the script does besides running once: it asks the running daemon, goes back, shows what would change.

Nothing here imports the global reactor; the face gives it one.
"""

from marathonlb.script.run import run
from marathonlb.script.terminal import Terminal

__all__ = ["Terminal", "run"]
