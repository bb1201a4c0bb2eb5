"""Errors of the API, with Marathon's HTTP statuses and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import field, frozen


@frozen(str=False)
class Refused(Exception):
    """
    A request that is rejected.

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
        """The JSON of the response."""
        return {"message": self.message, **self.more}


def unknown_app(app_id: str) -> Refused:
    """Return 404: no app has this id."""
    return Refused(404, f"App '{app_id}' does not exist")


def unknown_task(task_id: str) -> Refused:
    """Return 404: no task has this id."""
    return Refused(404, f"Task '{task_id}' does not exist")


def exists(app_id: str) -> Refused:
    """Return 409: a POST for an app that already exists."""
    return Refused(409, f"An app with id [{app_id}] already exists.")


def locked(deployments: Sequence[str]) -> Refused:
    """Return 409: a deployment locks the app."""
    return Refused(
        409,
        "App is locked by one or more deployments. Override with the option '?force=true'. "
        "View details at '/v2/deployments/<DEPLOYMENT_ID>'.",
        {"deployments": [{"id": deployment_id} for deployment_id in deployments]},
    )


def malformed(details: object) -> Refused:
    """Return 400: not JSON, or values of the wrong types; `details` is a string or a list of paths and errors."""
    return Refused(400, "Invalid JSON", {"details": details})


def invalid(details: list[dict[str, Any]]) -> Refused:
    """Return 422: an invalid app; `details` is a list of paths and errors."""
    return Refused(422, "Object is not valid", {"details": details})
