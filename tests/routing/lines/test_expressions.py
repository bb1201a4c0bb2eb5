"""Expressions and conditions that read only the request, the response and the connection."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.lines.expressions import (
    RefusedError,
    address,
    condition,
    effort,
    expression,
    harmless_words,
    value,
    variable,
)


class ExpressionTests(SynchronousTestCase):
    """Each check, on what it takes and what it refuses."""

    def refuse(self, check: Callable[[str], object], texts: Iterable[str]) -> None:
        """Assert that a check refuses each text."""
        for text in texts:
            self.assertRaises(RefusedError, check, text)

    def test_expression(self) -> None:
        """Fetches of the request and plain converters are allowed; others read files, maps or variables."""
        for text in ("req.hdr(host),lower", "src", "path,field(2,/)", "int(5),add(3)"):
            expression(text)
        self.refuse(
            expression,
            (
                "",
                "env(HOME)",
                "src,map(/x)",
                "var(proc.x)",
                "int(5),add(x)",
                "path,url_dec",
                "req.hdr(x),lua.y",
            ),
        )
        expression("path,url_dec", compared=True)

    def test_value(self) -> None:
        """A text may hold expressions, but no open bracket, log flag or line break."""
        value("a%[src]b")
        self.refuse(value, ("%[src", "%{+Q}o", "a\nb", "%[env(X)]", variable("balance")))

    def test_variable_alone(self) -> None:
        """A variable that may be empty does not stand before text that would then begin a word."""
        value(f"{variable('hostname')}/x")
        value(f"{variable('backend')}x")
        self.refuse(value, (f"{variable('hostname')}x",))

    def test_condition(self) -> None:
        """Expressions in braces and HAProxy's own ACLs are allowed; addresses are no names."""
        condition("{ path_beg /x } or METH_GET !{ src 10.0.0.0/8 }".split())
        for text in ("{ src localhost }", "{ path -f /etc/x }", "{ path -m reg x }", "mine", "{ }"):
            self.assertRaises(RefusedError, condition, text.split())

    def test_address(self) -> None:
        """Addresses and networks are known without a look-up."""
        address("fd00::/8")
        self.refuse(address, ("localhost", "10.0.0.0/33"))

    def test_words(self) -> None:
        """Words are HAProxy's; what it would read otherwise than it is written is refused."""
        self.assertEqual(["a", "b c", "d#"], harmless_words(r"a 'b c' d\# # e"))
        owners = f"'{variable('balance')}'"
        self.refuse(harmless_words, ("a 'b", "a\\", r"a\x41", r'"\x41"', 'a "$HOME"', owners))

    def test_effort(self) -> None:
        """A test of a header costs for each of its values, a search for each word."""
        self.assertEqual(0, effort("timeout server 5s".split()))
        self.assertEqual(600, effort("x if { hdr(a) b }".split()))
        self.assertEqual(100 * 2, effort("x if { path_sub b }".split()))
        self.assertEqual(20, effort(["%[src,lower]"]))
