"""A policy for tests."""

from __future__ import annotations

from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.routing.policy.file import policy_of
from marathonlb.routing.policy.prefixes import (
    Policy,
)

TEXT = """\
# every team

[defaults]
templates = ["BACKEND_HTTP_OPTIONS", "HAPROXY_{n}_HTTP_BACKEND_*"]
hosts = []
ports = ["10000-10999", 8080]
deployment_groups = []

[apps."/shop"]
hosts = ["Shop.example.com", "*.shop.example.com"]
deployment_groups = ["shop-*"]

[apps."/shop/internal/"]
hosts = ["bücher.example"]
networks = ["10.0.0.0/8", "fd00::/8"]
addresses = ["10.1.0.0/16", "lb1"]

[apps."/platform"]
templates = ["*"]
hosts = ["*"]
ports = ["1-65535"]
"""


def policy(text: str = TEXT) -> Policy:
    """Return the policy of a text."""
    return policy_of(text, PER_APP_NAMES)
