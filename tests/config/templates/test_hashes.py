"""The hashes that templates write."""

from __future__ import annotations

from time import process_time

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.templates.hashes import faults
from tests.config.clusters import overriding, renderer
from tests.routing.apps import service

COSTLY = "$6$rounds=999999999$pepper$hash"


class FaultsTests(SynchronousTestCase):
    """`faults`."""

    def test_lines(self) -> None:
        """Every hash is found, wherever it stands and however the line is written, and nothing else is one."""
        for line in (
            f"user joe password {COSTLY}",
            f"\tuser  joe groups a,b  password\t'{COSTLY}'  # x",
            f"user joe groups password password {COSTLY}",
            f"\\x75ser joe 'pass'word {COSTLY}",
            '"user" joe password "\\$6\\x24rounds=999999999\\$pepper\\$hash"',
            'user joe password "${HASH}"',
            "user joe password $9$unknown$scheme",
        ):
            (reason,) = faults(f"userlist a\n  user b password $1$a$b\n{line}\n", 1)
            self.assertTrue(reason.startswith("line 3 "), reason)
            self.assertNotIn("pepper", reason)
        for line in (
            "user haproxy",
            f"user joe insecure-password {COSTLY}",
            f"# user joe password {COSTLY}",
            f"log-format user password {COSTLY}",
            "user joe password no-hash",
            "user joe password \\$6$rounds=999999999$pepper$hash",  # outside quotes that backslash stays
        ):
            self.assertEqual([], list(faults(f"{line}\n", 1)), line)

    def test_long(self) -> None:
        """A long text is read in no time."""
        for text in ("user a\n" * 9000, '"' * 60_000, "user 'a " * 8000, "\\" * 60_000, "\n" * 60_000):
            started = process_time()
            list(faults(text, 1))
            self.assertLess(process_time() - started, 0.2)


class RenderedTests(SynchronousTestCase):
    """Whose the text is."""

    def test_of_a_label(self) -> None:
        """An app whose label writes a costly hash is not served, and its owner is told which line it is."""
        texts = {
            "USERLIST_HEAD": f"userlist user_{{backend}}\n  user joe password {COSTLY}\n",
            "BACKEND_HEAD": f"userlist mine\n  user joe password {COSTLY}\nbackend {{backend}}\n",
            "FRONTEND_HEAD": f"userlist mine\n  user joe password {COSTLY}\nfrontend {{backend}}_in\n",
        }
        for name, text in texts.items():
            evil = service("evil", 2, auth=("r", "u", "$1$a$b"), overrides={name: text})
            made = renderer().render([service("web", 1), evil])
            self.assertEqual(["/web"], [each.app_id for each in made.services], name)
            (problem,) = made.problems
            self.assertEqual(("/evil", f"HAPROXY_0_{name}"), (problem.app_id, problem.label))
            self.assertIn("line 2 has a hash that costs HAProxy up to 550.0 s", problem.reason)
            self.assertNotIn("rounds=9", f"{problem}{made.config.template}")

    def test_of_the_operator(self) -> None:
        """An operator's text is used as it is, with a warning, whichever template it stands in."""
        for name, text in (
            ("HEAD", f"global\n  maxconn 9\nuserlist ops\n  user a password {COSTLY}\n"),
            ("HTTP_FRONTEND_HEAD", f"userlist ops\n  user a password {COSTLY}\nfrontend marathon_http_in\n"),
            ("BACKEND_HEAD", f"userlist ops\n  user a password {COSTLY}\nbackend {{backend}}\n"),
        ):
            made = renderer(overriding(**{name: text})).render([service("a", 1), service("b", 2)])
            self.assertEqual(["/a", "/b"], [each.app_id for each in made.services])
            self.assertIn(COSTLY, made.config.template)
            (problem,) = made.problems
            self.assertEqual(("", f"HAPROXY_{name}", False), (problem.app_id, problem.label, problem.fatal))
            self.assertIn("has a hash that costs", problem.reason)
