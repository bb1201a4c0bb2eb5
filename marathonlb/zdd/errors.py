"""What ends a deployment on purpose; each says in one line what an operator can do."""

from __future__ import annotations

from attrs import frozen

from marathonlb.errors import MarathonLBError


@frozen(str=False)
class Refused(MarathonLBError):
    """This cannot be done at all; nothing was changed."""

    reason: str

    def __str__(self) -> str:
        return self.reason


@frozen(str=False)
class Failed(MarathonLBError):
    """It was begun and cannot go on."""

    reason: str

    def __str__(self) -> str:
        return self.reason


@frozen(str=False)
class Busy(MarathonLBError):
    """Marathon is at work on this app; a moment later it will do what was asked."""

    app_id: str

    def __str__(self) -> str:
        return f"Marathon has another deployment of {self.app_id} under way"
