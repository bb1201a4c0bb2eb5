"""
marathon-lb keeps HAProxy in step with what Marathon runs.

The version comes from the tags of the repository and is written beside this file when the package is built or
installed; a checkout that is not installed has the fallback's.
"""

FALLBACK = "2.0.0.dev0"
"""Of a tree without tags: the next release, before it."""

try:
    from marathonlb._version import __version__ as __version__
except ImportError:
    __version__ = FALLBACK
