"""The HTTP resource."""

from __future__ import annotations

import base64

from twisted.web.resource import IResource
from zope.interface.verify import verifyObject

from tests.minimarathon.api.resources import ResourceTestCase, ServedMarathon


class ResourceTests(ResourceTestCase):
    """`ApiResource`."""

    def test_interface(self) -> None:
        """It is a resource of twisted.web."""
        self.assertTrue(verifyObject(IResource, self.served.resource))


class CredentialTests(ResourceTestCase):
    """Basic authentication."""

    def test_credentials(self) -> None:
        """Without the right credentials every path is 401 with a page and a realm; the resource shows none."""
        self.use(ServedMarathon(credentials="user:secret"))
        for headers in ({}, {"Authorization": "Basic " + base64.b64encode(b"user:wrong").decode()}):
            for path in ("/v2/apps", "/ping", "/v2/events"):
                status, body = self.ask("GET", path, headers=headers)
                self.assertEqual((401, 'basic realm="Mesosphere"'), (status, self.header("WWW-Authenticate")))
                self.assertIn("<html>", body)
        good = {"Authorization": "Basic " + base64.b64encode(b"user:secret").decode()}
        self.assertEqual(200, self.ask("GET", "/v2/apps", headers=good)[0])
        self.assertNotIn("secret", repr(self.served.resource))
