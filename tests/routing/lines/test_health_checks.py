"""Lines about health checks that concern their own service only."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.lines.expressions import RefusedError, variable
from marathonlb.routing.lines.health_checks import http_check, httpchk


class HealthCheckTests(SynchronousTestCase):
    """`httpchk` and `http_check`."""

    def test_harmless(self) -> None:
        """Methods, paths, headers and expected answers are allowed."""
        httpchk(["GET", variable("healthCheckPath"), "HTTP/1.1\r\nHost:", "www"])
        http_check(
            ["send", "meth", "GET", "uri", f"{variable('healthCheckPath')}?x", "hdr", "Host", "a.test"]
        )
        http_check(["expect", "!", "status", "500"])
        http_check(["disable-on-404"])

    def test_refused(self) -> None:
        """Regular expressions, other actions, and what reads the environment are refused."""
        for words in (
            ["expect", "rstring", ".*"],
            ["connect", "port", "22"],
            ["send", "hdr", "X"],
            ["send", "body-lf", "%[env(HOME)]"],
            ["disable-on-404", "x"],
            [],
        ):
            self.assertRaises(RefusedError, http_check, words)

    def test_path_of_the_owner(self) -> None:
        """The app's own path stands where a path does, and nowhere else."""
        path = variable("healthCheckPath")
        httpchk(["GET", path])
        self.assertRaises(RefusedError, httpchk, ["GET", "/", path])
        self.assertRaises(RefusedError, http_check, ["send", "hdr", "X", path])
