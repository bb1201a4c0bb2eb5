"""twistd's options."""

from __future__ import annotations

from twisted.application.service import IService, IServiceMaker
from twisted.plugin import getPlugins
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from minimarathon.tap import Options, makeService


class OptionTests(SynchronousTestCase):
    """`Options`."""

    def options(self, *arguments: str) -> Options:
        options = Options()
        options.parseOptions(arguments)
        return options

    def test_plugin(self) -> None:
        """twistd finds the plugin."""
        self.assertIn("minimarathon", [one.tapname for one in getPlugins(IServiceMaker)])

    def test_values(self) -> None:
        """Each option reaches the service."""
        options = self.options(
            *("--port", "0", "--version", "1.4", "--credentials", "u:p", "--task-ports", "40000-40010"),
            *("--keep-alive", "0.5", "--no-processes"),
        )
        service = makeService(options)
        self.assertTrue(IService.providedBy(service))
        config = service.config
        self.assertEqual((0, (1, 4), "u:p"), (config.port, config.dialect.version, config.credentials))
        self.assertEqual(
            ((40000, 40010), 0.5, False), (config.task_ports, config.keep_alive, config.processes)
        )
        self.assertNotIn("u:p", repr(config))

    def test_wrong_values(self) -> None:
        """What is wrong is one line that names the option and the value, but never a password."""
        for option, value in (
            ("--port", "x"),
            ("--port", "70000"),
            ("--version", "1.3"),
            ("--task-ports", "5"),
            ("--task-ports", "10-5"),
            ("--keep-alive", "x"),
            ("--apps", "/nowhere.json"),
        ):
            error = self.assertRaises(UsageError, self.options, option, value)
            self.assertIn(option, str(error))
            self.assertIn(value, str(error))
        error = self.assertRaises(UsageError, self.options, "--credentials", "secret")
        self.assertNotIn("secret", str(error))
