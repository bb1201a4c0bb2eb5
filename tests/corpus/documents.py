"""Documents of a collection: a list of options and Marathon's schema of an app."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.options import options
from tests import test_dcos_package
from tests.corpus import CORPUS, corpus

BEYOND = {"sse", "json", "marathon-insecure", "marathon-client-cert", "max-password-cost"}
"""Options of ours that the list does not have."""

TO_COME = {"service-port-range", "access-log-format", "admin-token", "template-fallback"}
"""Options of the list that may be missing here."""


class Schema(test_dcos_package.AppTests):
    """The package's app beside Marathon's own schema."""

    schema = corpus(
        *"marathon/spec/v1.5.15/docs/docs/rest-api/public/api/v2/schema/AppDefinition.json".split("/")
    )


class OptionsOfTheContract(SynchronousTestCase):
    """The list of options that an older marathon-lb has."""

    def test_every_option(self) -> None:
        """Every option of the list is in the table but those that are still to come, and nothing else is."""
        contract = CORPUS / "contract" / "options.md"
        rows = [line.split("|")[1] for line in contract.read_text().splitlines() if line.startswith("| `--")]
        names = {
            word.strip("`,").removeprefix("--").removeprefix("no-")
            for row in rows
            for word in row.split()
            if word.startswith("`--")
        }
        names = {"max-serv-port-ip-per-task" if name.startswith("max-…") else name for name in names}
        table = {option.name for option in options()}
        self.assertEqual(table - BEYOND - names, set())
        self.assertLessEqual(names - table, {"longhelp", *TO_COME})
