"""The table of templates."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.templates.table import BY_NAME, PER_APP_NAMES, TEMPLATES, nearest


class TableTests(SynchronousTestCase):
    """`TEMPLATES` itself."""

    def test_names(self) -> None:
        """Each template stands once, and the global ones cannot be overridden by a label."""
        self.assertEqual(len(BY_NAME), len(TEMPLATES))
        shared = {spec.name for spec in TEMPLATES} - PER_APP_NAMES
        self.assertEqual(
            shared,
            {
                "HEAD", "HTTP_FRONTEND_HEAD", "HTTP_FRONTEND_APPID_HEAD", "HTTPS_FRONTEND_HEAD",
                "HTTPS_GROUPED_FRONTEND_HEAD", "HTTPS_GROUPED_VHOST_FRONTEND_HEAD", "HTTPS_GROUPED_VHOST_BACKEND_HEAD",
                "HTTPS_GROUPED_VHOST_FRONTEND_ACL", "HTTP_BACKEND_ACL_ALLOW_DENY", "TCP_BACKEND_ACL_ALLOW_DENY",
            },
        )  # fmt: skip

    def test_literal(self) -> None:
        """The split into literal and classic is the one that overrides of many years assume."""
        literal = {spec.name for spec in TEMPLATES if spec.literal}
        self.assertEqual(
            literal,
            {
                "HEAD", "HTTP_FRONTEND_HEAD", "HTTP_FRONTEND_APPID_HEAD", "HTTPS_GROUPED_FRONTEND_HEAD",
                "BACKEND_HTTP_OPTIONS", "BACKEND_HSTS_OPTIONS", "BACKEND_STICKY_OPTIONS",
                "HTTP_BACKEND_ACL_ALLOW_DENY", "TCP_BACKEND_ACL_ALLOW_DENY",
            },
        )  # fmt: skip

    def test_nearest(self) -> None:
        """A name that is nearly right has a nearest one."""
        self.assertEqual(nearest("BACKENDHEAD"), "BACKEND_HEAD")
        self.assertIsNone(nearest("XYZZY"))
