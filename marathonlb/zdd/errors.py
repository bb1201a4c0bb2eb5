"""Errors that end a deployment; each message is one line with what an operator can do."""

from __future__ import annotations

from attrs import frozen

from marathonlb.errors import MarathonLBError


@frozen(str=False)
class Refused(MarathonLBError):
    """The deployment cannot be done; nothing was changed."""

    reason: str

    def __str__(self) -> str:
        return self.reason


@frozen(str=False)
class Failed(MarathonLBError):
    """The deployment has begun and cannot continue."""

    reason: str

    def __str__(self) -> str:
        return self.reason


@frozen(str=False)
class Busy(MarathonLBError):
    """Marathon has another deployment of this app under way; the request may succeed later."""

    app_id: str

    def __str__(self) -> str:
        return f"Marathon has another deployment of {self.app_id} under way"
