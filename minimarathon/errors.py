"""Refusals of minimarathon, in Marathon's words: each has its status and its JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import field, frozen


@frozen(str=False)
class Refused(Exception):
    """
    A request that is not done.

    :param status: the HTTP status.
    :param message: Marathon's ``message``.
    :param more: further fields of the body: ``details``, ``deployments``.
    """

    status: int
    message: str
    more: dict[str, Any] = field(factory=dict)

    def __str__(self) -> str:
        return f"{self.message} {self.more}" if self.more else self.message

    @property
    def body(self) -> dict[str, Any]:
        """The JSON that is answered."""
        return {"message": self.message, **self.more}


def unknown_app(app_id: str) -> Refused:
    """404: there is no such app."""
    return Refused(404, f"App '{app_id}' does not exist")


def unknown_task(task_id: str) -> Refused:
    """404: there is no such task."""
    return Refused(404, f"Task '{task_id}' does not exist")


def exists(app_id: str) -> Refused:
    """409: POST of an app that is there."""
    return Refused(409, f"An app with id [{app_id}] already exists.")


def locked(deployments: Sequence[str]) -> Refused:
    """409: a deployment holds the app."""
    return Refused(
        409,
        "App is locked by one or more deployments. Override with the option '?force=true'. "
        "View details at '/v2/deployments/<DEPLOYMENT_ID>'.",
        {"deployments": [{"id": one} for one in deployments]},
    )


def malformed(details: object) -> Refused:
    """400: no JSON, or JSON of other types than an app's; `details` is a text or a list of path and errors."""
    return Refused(400, "Invalid JSON", {"details": details})


def invalid(details: list[dict[str, Any]]) -> Refused:
    """422: an app that cannot be."""
    return Refused(422, "Object is not valid", {"details": details})
