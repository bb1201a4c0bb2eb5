"""Errors of the API."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from minimarathon import errors


class RefusedTests(SynchronousTestCase):
    """`Refused` and its constructors."""

    def test_statuses(self) -> None:
        """Each error has Marathon's status and message."""
        for refused, status, message in (
            (errors.unknown_app("/no"), 404, "App '/no' does not exist"),
            (errors.unknown_task("no"), 404, "Task 'no' does not exist"),
            (errors.exists("/web"), 409, "An app with id [/web] already exists."),
            (errors.malformed("text"), 400, "Invalid JSON"),
            (errors.invalid([]), 422, "Object is not valid"),
        ):
            self.assertEqual((status, message), (refused.status, refused.body["message"]))

    def test_locked(self) -> None:
        """A locked app names the deployments that lock it."""
        body = errors.locked(["d1", "d2"]).body
        self.assertEqual([{"id": "d1"}, {"id": "d2"}], body["deployments"])
        self.assertIn("?force=true", body["message"])

    def test_text(self) -> None:
        """As text an error shows its message and its details."""
        self.assertEqual("Invalid JSON {'details': 'x'}", str(errors.malformed("x")))
        self.assertEqual("App '/no' does not exist", str(errors.unknown_app("/no")))
