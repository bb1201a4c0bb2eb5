"""The table of the documented variables."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.templates.variable_table import VARIABLES
from tests.config.templates.test_variables import OTHERS, SERVER, VALUES


class TableTests(SynchronousTestCase):
    """`VARIABLES`."""

    def test_all(self) -> None:
        """The table has the variables of the contract, each once."""
        names = [(name, row.scope == "server") for row in VARIABLES for name in row.names]
        servers = {*SERVER, "serverId", "healthCheckOptions"}
        wanted = {(name, False) for name in (*VALUES, *OTHERS)} | {(name, True) for name in servers}
        self.assertEqual(sorted(names), sorted(wanted))
