"""Services with overridden rule templates."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.rule_templates import auth_in_frontends, names_app, names_servers, needs_acl
from marathonlb.config.templates.table import BY_NAME
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
