"""Services with overridden rule templates, and the text of one ACL rule."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.rule_templates import RuleText, auth_in_frontends, names_app, names_servers, needs_acl
from marathonlb.config.templates.table import BY_NAME
from marathonlb.config.templates.variables import service_variables
from marathonlb.routing.rules import AclRule
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings
from tests.config.clusters import DEFAULTS, overriding
from tests.routing.apps import service

AUTH = ("r", "u", "$1$a$b")


class RuleTemplatesTests(SynchronousTestCase):
    """Each question about a service."""

    def test_needs_acl(self) -> None:
        """A service needs ACLs if a rule template that it uses is overridden, by a label or by the operator."""
        plain, path = service(hosts=("a.test",)), service(hosts=("a.test",), paths=("/x",))
        self.assertFalse(needs_acl(plain, DEFAULTS))
        for name in ("HTTP_FRONTEND_ACL", "HTTPS_FRONTEND_ACL", "HTTP_FRONTEND_ROUTING_ONLY"):
            self.assertTrue(needs_acl(service(overrides={name: "x"}), DEFAULTS), name)
            self.assertTrue(needs_acl(plain, overriding(**{name: "x"})), name)
            self.assertFalse(needs_acl(path, overriding(**{name: "x"})), name)
        self.assertTrue(needs_acl(path, overriding(HTTP_FRONTEND_ACL_WITH_PATH="x")))
        self.assertFalse(needs_acl(plain, overriding(BACKEND_EXTRA="x")))
        self.assertTrue(needs_acl(service(overrides={"MAP_HTTP_FRONTEND_ACL": "x"}), DEFAULTS))

    def test_redirect(self) -> None:
        """The redirect's template counts for services that redirect."""
        mine = overriding(BACKEND_REDIRECT_HTTP_TO_HTTPS="x")
        self.assertTrue(needs_acl(service(redirect_to_https=True), mine))
        self.assertFalse(needs_acl(service(), mine))

    def test_auth(self) -> None:
        """The frontends ask for the password if a template for that is overridden, with paths or without."""
        mine = overriding(HTTP_FRONTEND_ACL_WITH_AUTH="x")
        self.assertTrue(auth_in_frontends(service(auth=AUTH), mine))
        self.assertFalse(auth_in_frontends(service(auth=AUTH, paths=("/x",)), mine))
        self.assertFalse(auth_in_frontends(service(auth=AUTH), DEFAULTS))
        self.assertTrue(needs_acl(service(auth=AUTH), mine))

    def test_names_app(self) -> None:
        """The rule by app id is overridden by either of its templates."""
        self.assertFalse(names_app(service(), DEFAULTS))
        self.assertTrue(names_app(service(), overriding(HTTP_FRONTEND_APPID_ACL="x")))
        self.assertTrue(names_app(service(overrides={"MAP_HTTP_FRONTEND_APPID_ACL": "x"}), DEFAULTS))
        self.assertFalse(names_app(service(), overriding(MAP_HTTP_FRONTEND_APPID_ACL="x")))

    def test_names_servers(self) -> None:
        """No text of a label reads the servers, since it has no objects."""
        for name in BY_NAME:
            self.assertFalse(names_servers(service(overrides={name: "{backend}"}), DEFAULTS), name)


class RuleTextTests(SynchronousTestCase):
    """`RuleText`."""

    def text(self, made: Service, templates: object = DEFAULTS) -> RuleText:
        rule = AclRule(made, made.hosts, made.paths)
        return RuleText(rule, templates, service_variables(made, Settings()))  # type: ignore[arg-type]

    def names(self, made: Service, kind: str, templates: object = DEFAULTS) -> list[str]:
        """The templates that write a rule, in turn."""
        text = self.text(made, templates)
        return [chunk.owner.template for chunk in (text.http() if kind == "HTTP" else text.https())]

    def test_http(self) -> None:
        """One host takes one template, several hosts one each and one for the routing."""
        self.assertEqual(self.names(service(hosts=("a.test",)), "HTTP"), ["HTTP_FRONTEND_ACL"])
        self.assertEqual(
            self.names(service(hosts=("a.test", "b.test")), "HTTP"),
            ["HTTP_FRONTEND_ACL_ONLY", "HTTP_FRONTEND_ACL_ONLY", "HTTP_FRONTEND_ROUTING_ONLY"],
        )
        self.assertEqual(
            self.names(service(hosts=("a.test",), paths=("/x",)), "HTTP"),
            ["HTTP_FRONTEND_ACL_ONLY_WITH_PATH", "HTTP_FRONTEND_ACL_WITH_PATH"],
        )

    def test_https(self) -> None:
        """Each host takes one template on the https frontend."""
        self.assertEqual(self.names(service(hosts=("a.test", "b.test")), "HTTPS"), ["HTTPS_FRONTEND_ACL"] * 2)

    def test_redirect(self) -> None:
        """An overridden redirect is written into the http frontend after the ACLs."""
        made = service(hosts=("a.test", "b.test"), redirect_to_https=True)
        mine = overriding(BACKEND_REDIRECT_HTTP_TO_HTTPS="  # redirect\n")
        self.assertIn("BACKEND_REDIRECT_HTTP_TO_HTTPS", self.names(made, "HTTP", mine))
        self.assertNotIn("BACKEND_REDIRECT_HTTP_TO_HTTPS", self.names(made, "HTTPS", mine))

    def test_password(self) -> None:
        """Over http no password is asked for by a service that redirects to https."""
        mine = overriding(
            HTTP_FRONTEND_ACL_WITH_AUTH="  # ask\n", HTTPS_FRONTEND_AUTH_REQUEST_ONLY="  # ask\n"
        )
        auth = ("r", "u", "$1$a$b")
        self.assertEqual(
            self.names(service(hosts=("a.test",), auth=auth), "HTTP", mine), ["HTTP_FRONTEND_ACL_WITH_AUTH"]
        )
        redirected = service(hosts=("a.test",), auth=auth, redirect_to_https=True)
        self.assertEqual(self.names(redirected, "HTTP", mine), ["HTTP_FRONTEND_ACL"])
        self.assertEqual(self.names(redirected, "HTTPS", mine)[-1], "HTTPS_FRONTEND_AUTH_REQUEST_ONLY")

    def test_owner(self) -> None:
        """Each chunk knows its service and where the text comes from."""
        (chunk,) = self.text(
            service("a", 1, hosts=("a.test",), overrides={"HTTP_FRONTEND_ACL": "  # x"})
        ).http()
        self.assertEqual((chunk.owner.app_id, chunk.owner.label), ("/a", "HAPROXY_0_HTTP_FRONTEND_ACL"))
        self.assertEqual(chunk.text, "  # x\n")
