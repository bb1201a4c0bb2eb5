"""
Events as what they are here: hints to look again.

Marathon's events are unordered, may be dropped, and in callback mode anyone can post them. So nothing of an
event's content ever reaches the configuration: it only says which app to ask Marathon about.
"""

from __future__ import annotations

from attrs import frozen


@frozen
class Hint:
    """
    Look again: at these apps, or at everything.

    :param apps: ids of apps, absolute; None means everything.
    :param why: one phrase for the log (``status_update_event``, ``poll``, ``SIGHUP``).
    """

    apps: frozenset[str] | None
    why: str

    @property
    def everything(self) -> bool:
        """Whether the whole cluster is to be looked at."""
        return self.apps is None
