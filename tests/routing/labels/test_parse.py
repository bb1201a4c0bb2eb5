"""The table of labels: what an app says becomes values, overrides and problems."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.templates.table import BY_NAME, PER_APP_NAMES, TEMPLATES
from marathonlb.problem_kinds.apps import LABEL_VALUE
from marathonlb.routing.labels.parse import OPERATORS, PER_APP, PER_PORT, AppLabels, parse_labels
from marathonlb.routing.labels.table import LABELS
from marathonlb.routing.problems import Problem
from tests.routing.apps import app


def parsed(**labels: str) -> AppLabels:
    """The labels of an app; their names lack ``HAPROXY_``, and an index comes as ``_0_``."""
    return parse_labels(
        app(labels={name.removeprefix("_"): text for name, text in labels.items()}), PER_APP_NAMES
    )


class TableTests(SynchronousTestCase):
    """`LABELS` itself."""

    def test_unique(self) -> None:
        """No two rows of one scope have one name, and but one that is no template has a template's name."""
        self.assertEqual(len(PER_APP) + len(PER_PORT), len(LABELS))
        texts = {row.name for row in LABELS if row.template}
        self.assertEqual(texts, {"FRONTEND_EXTRA", "BACKEND_EXTRA", "SERVER_EXTRA"})
        self.assertEqual((set(PER_PORT) & set(BY_NAME)) - texts, {"HTTP_BACKEND_REDIR"})

    def test_documented(self) -> None:
        """Every row says what it does, in a sentence."""
        for row in LABELS:
            self.assertRegex(row.doc, r"^[A-Z0-9`].*\.$", row.name)
            self.assertTrue(row.kind and row.default, row.name)


class ParseTests(SynchronousTestCase):
    """Labels of one app."""

    def test_values(self) -> None:
        """Values are checked and kept by port; what is absent keeps its default."""
        labels = parsed(_0_VHOST="A.example.com", _1_STICKY="yes", GROUP="a, b")
        self.assertEqual(labels.groups, ("a", "b"))
        self.assertEqual(labels.port(0).get("VHOST"), ("a.example.com",))
        self.assertTrue(labels.port(1).get("STICKY"))
        self.assertIsNone(labels.port(0).get("STICKY"))
        self.assertEqual(labels.port(7).get("PORT", 5), 5)
        self.assertEqual(labels.problems, ())

    def test_bad_value(self) -> None:
        """A bad value is a problem of that port alone, and names app, port, label and value."""
        labels = parsed(_0_PORT="http", _1_PORT="80")
        self.assertEqual(
            labels.port(0).problems,
            (
                Problem(
                    "/shop", 0, "HAPROXY_0_PORT", "http", "is no integer from 1 to 65535", kind=LABEL_VALUE
                ),
            ),
        )
        self.assertEqual(labels.port(1).problems, ())
        self.assertIn("/shop port 0: HAPROXY_0_PORT='http': is no integer", str(labels.port(0).problems[0]))

    def test_secret(self) -> None:
        """What a secret label holds is not shown, even where its name is nearly right."""
        for name in ("_0_AUTH", "_0_AUHT", "AUTH", "_0_BASIC_AUTH", "_0_AUTHENTICATION", "PASSWORD"):
            labels = parsed(**{name: "realm:joe"})
            (problem,) = (*labels.problems, *labels.port(0).problems)
            self.assertEqual(problem.value, "***")
            self.assertNotIn("joe", str(problem))

    def test_unknown(self) -> None:
        """An unknown label is a warning with the nearest known name."""
        (problem,) = parsed(_0_VHOSTS="a").port(0).problems
        self.assertFalse(problem.fatal)
        self.assertIn("nearest known name is HAPROXY_0_VHOST", problem.reason)
        table = {
            "_0_vhost": "HAPROXY_0_VHOST",
            "_00_VHOST": "HAPROXY_0_VHOST",
            "VHOSTS": "HAPROXY_{n}_VHOST",
            "GROUPS": "HAPROXY_GROUP",
            "_1_GROUPS": "HAPROXY_1_GROUP",
            "DEPLOYMENT_COLOR": "HAPROXY_DEPLOYMENT_COLOUR",
            "_0_DEPLOYMENT_GROUP": "HAPROXY_DEPLOYMENT_GROUP",
            "_2_BACKEND_SERVER_OPTION": "HAPROXY_2_BACKEND_SERVER_OPTIONS",
        }
        for name, wanted in table.items():
            labels = parsed(**{name: "a"})
            (problem,) = (
                *labels.problems,
                *(each for port in labels.ports.values() for each in port.problems),
            )
            self.assertEqual(problem.reason.rpartition(" ")[2], wanted)
            self.assertFalse(problem.fatal)
        (problem,) = parsed(XYZZY="a").problems
        self.assertNotIn("nearest", problem.reason)

    def test_without_index(self) -> None:
        """A label that lacks its index is a warning that names the one of the first port."""
        for name in ("MODE", "HTTP_FRONTEND_ACL"):
            (problem,) = parsed(**{name: "http"}).problems
            self.assertFalse(problem.fatal)
            self.assertIn(f"HAPROXY_0_{name}", problem.reason)

    def test_templates(self) -> None:
        """A template's text is kept as it is, with Unix newlines."""
        labels = parsed(_0_BACKEND_HEAD="\nbackend {backend}\r\n  x {{ y }}\r\n", _0_BACKEND_HTTP_OPTIONS="")
        self.assertEqual(
            labels.port(0).templates,
            {"BACKEND_HEAD": "\nbackend {backend}\n  x {{ y }}\n", "BACKEND_HTTP_OPTIONS": ""},
        )

    def test_template_false(self) -> None:
        """A template label that holds ``false`` switches that part off, as an empty one does."""
        labels = parsed(_0_BACKEND_REDIRECT_HTTP_TO_HTTPS=" False\n")
        self.assertEqual(labels.port(0).templates, {"BACKEND_REDIRECT_HTTP_TO_HTTPS": ""})

    def test_label_and_template(self) -> None:
        """The one name that is both is a path where it begins with a slash or is one word, else a template's text."""
        self.assertEqual(
            parsed(_0_HTTP_BACKEND_REDIR="/home").port(0).values, {"HTTP_BACKEND_REDIR": "/home"}
        )
        (problem,) = parsed(_0_HTTP_BACKEND_REDIR="home").port(0).problems
        self.assertIn("'home' is no path", problem.reason)
        self.assertEqual(parsed(_0_HTTP_BACKEND_REDIR="false").port(0).templates, {"HTTP_BACKEND_REDIR": ""})
        text = "  http-request redirect location /x\n"
        self.assertEqual(parsed(_0_HTTP_BACKEND_REDIR=text).port(0).templates, {"HTTP_BACKEND_REDIR": text})

    def test_template_control(self) -> None:
        """A template with a NUL or a lone carriage return is a problem."""
        for text in ("a\0b", "a\rb"):
            (problem,) = parsed(_0_BACKEND_HEAD=text).port(0).problems
            self.assertTrue(problem.fatal)

    def test_global_template(self) -> None:
        """A template that belongs to nobody alone cannot be overridden by a label."""
        self.assertEqual(OPERATORS, {spec.name for spec in TEMPLATES if not spec.per_app})
        for labels in (parsed(_0_HTTP_FRONTEND_HEAD="x"), parsed(HTTP_FRONTEND_HEAD="x")):
            (problem,) = (*labels.problems, *labels.port(0).problems)
            self.assertFalse(problem.fatal)
            self.assertIn("HAPROXY_HTTP_FRONTEND_HEAD holds for all services", problem.reason)

    @settings(max_examples=100, deadline=None)
    @given(
        st.dictionaries(
            st.text(max_size=30) | st.sampled_from([f"0_{n}" for n in PER_PORT]), st.text(max_size=30)
        )
    )
    def test_any(self, labels: dict[str, Any]) -> None:
        """Whatever the labels are, parsing raises nothing."""
        parse_labels(app(labels=labels), PER_APP_NAMES)
