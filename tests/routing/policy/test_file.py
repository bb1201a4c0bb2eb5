"""The file of a policy."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.errors import UsageError
from marathonlb.routing.lines.allowed import DIRECTIVES
from marathonlb.routing.policy.file import read_policy
from tests.paths import CHECKOUT
from tests.routing.policy.policies import TEXT, policy


class FileTests(SynchronousTestCase):
    """What is no policy is refused with line and key."""

    BAD = (
        ("hosts = 1\n", "line 1, hosts: is unknown here, known are defaults, apps"),
        ("[default]\n", "line 1, default: is unknown here, known are defaults, apps; did you mean defaults?"),
        ("defaults = 1\n", "line 1, defaults: is not a table"),
        ("[defaults]\n\nhost = []\n", "line 3, defaults.host: is unknown here"),
        ('[defaults]\nhosts = "*"\n', "line 2, defaults.hosts: is not a list"),
        ('[apps."/a"]\n[apps.b]\n', "line 2, apps.b: an app id's prefix begins with /"),
        ('[apps."/a"]\n[apps."/a/"]\n', 'line 2, apps."/a/": /a is defined twice'),
        ('[apps."/a"]\nports = ["80-"]\n', "line 2, apps.\"/a\".ports: '80-' is neither a port nor a range"),
        ('[apps."/a"]\nports = ["90-80"]\n', "'90-80' is neither a port nor a range"),
        ('[apps."/a"]\nports = [true]\n', "True is not a text"),
        ('[apps."/a"]\nhosts = ["http://a/b"]\n', "'http://a/b' is more than a host name"),
        ('[apps."/a"]\nhosts = ["a b"]\n', "'a b' is no host name"),
        ('[apps."/a"]\nnetworks = ["10.0.0.1/8"]\n', "'10.0.0.1/8' is no network such as 10.0.0.0/8"),
        ('[apps."/a"]\naddresses = ["a b"]\n', "'a b' is neither an address, a network nor a host name"),
        ('[defaults]\ntemplates = ["BACKEND_HAED"]\n', "the nearest is BACKEND_HEAD"),
        ('[defaults]\ntemplates = "line"\n', "line 2, defaults.templates: is neither a list nor \"lines\""),
        ('apps = { "/a" = { hosts = 1 } }\n', 'apps."/a".hosts: is not a list'),
        ("apps.\"/a\".hosts = 1\n", 'line 1, apps."/a".hosts: is not a list'),
        ("[defaults\n", "line 1"),
    )  # fmt: skip

    def test_bad(self) -> None:
        """Each mistake is named with its line, where there is one, its key and what was expected."""
        for text, expected in self.BAD:
            error = self.assertRaises(ValueError, policy, text)
            self.assertIn(expected, str(error), text)

    def test_file(self) -> None:
        """A file that is missing, unreadable or no policy is an error of the option --policy."""
        path = Path(self.mktemp())
        error = self.assertRaises(UsageError, read_policy, str(path), PER_APP_NAMES)
        self.assertEqual(
            f"--policy: '{path}' is not a file that can be read: No such file or directory", str(error)
        )
        path.write_bytes(b"\xff")
        self.assertIn("UTF-8", str(self.assertRaises(UsageError, read_policy, str(path), PER_APP_NAMES)))
        path.write_text("[defaults]\nports = [0]\n")
        error = self.assertRaises(UsageError, read_policy, str(path), PER_APP_NAMES)
        self.assertIn("is not a policy: line 2, defaults.ports: '0' is neither a port", str(error))
        path.write_text(TEXT)
        self.assertEqual(policy(), read_policy(str(path), PER_APP_NAMES))

    def test_documentation(self) -> None:
        """The example of the documentation is a policy, and every key is described there."""
        text = (CHECKOUT / "docs" / "policy.md").read_text(encoding="utf-8")
        example = text.partition("```toml\n")[2].partition("```")[0]
        by = policy(example)
        self.assertTrue(by.grants)
        self.assertEqual((), by.defaults.templates)
        self.assertFalse(by.defaults.harmless_lines)
        for key in ("templates", "hosts", "ports", "addresses", "networks", "deployment_groups"):
            self.assertIn(f"| `{key}` |", text)
            self.assertIn(f"{key} = [", example)
        for word in (*DIRECTIVES, "backend {backend}", "server {serverName} {host_ipv4}:{port}"):
            self.assertRegex(text, rf"`(no )?{re.escape(word)}\b|`{re.escape(word)}`")
