"""A small cluster, and renderers for it."""

from __future__ import annotations

from typing import Any

from marathonlb.config.render import Renderer
from marathonlb.config.rendered import Rendered
from marathonlb.config.templates.loader import Templates, load_templates
from marathonlb.config.templates.template import classic
from marathonlb.config.text.model import Section
from marathonlb.marathon.model import App, HealthCheck, Networking, Port
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings
from tests.routing.apps import app, offered, task

DEFAULTS = load_templates("/nowhere", {})


def overriding(**texts: str) -> Templates:
    """The defaults, but for these texts of the operator's."""
    mine = {name: classic(name, text, f"environment HAPROXY_{name}") for name, text in texts.items()}
    return Templates({**DEFAULTS.shared, **mine}, DEFAULTS.defaults)


def renderer(templates: Templates = DEFAULTS, **options: Any) -> Renderer:
    """A renderer under these settings."""
    return Renderer(Settings(**{"ssl_certs": (), **options}), templates)


def services(*apps: App) -> list[Service]:
    """What apps offer."""
    return [each for made in apps for each in offered(made).services]


def section(rendered: Rendered, name: str) -> Section:
    """The section of this name."""
    (found,) = (each for each in rendered.config if each.name == name)
    return found


CLUSTER = (
    app(
        "/shop/web",
        {"0_VHOST": "shop.example.com,*.shop.example.com", "0_STICKY": "true", "0_USE_HSTS": "true"},
        tasks=(task(2), task(1), task(3, host="agent3.example.com")),
        health_checks=(HealthCheck(path="/up", interval_seconds=10, timeout_seconds=5),),
    ),
    app(
        "/shop/cart",
        {"0_VHOST": "shop.example.com", "0_PATH": "/cart /basket", "0_AUTH": 'The "cart":joe:$1$salt$hash'},
        ports=(Port(10001),),
    ),
    app("/secure", {"0_VHOST": "secure.example.com", "0_REDIRECT_TO_HTTPS": "true"}, ports=(Port(10002),)),
    app(
        "/echo",
        {"0_BACKEND_NETWORK_ALLOWED_ACL": "10.0.0.0/8", "0_BALANCE": "leastconn", "0_BIND_ADDR": "::1"},
        networking=Networking.CONTAINER,
        ports=(Port(10100, container_port=7, on_host=False),),
        tasks=(task(addresses=("fd00::7",)),),
    ),
    app(
        "/old",
        {
            "0_VHOST": "old.example.com",
            "0_BACKEND_WEIGHT": "7",
            "0_PATH": "-i /Old",
            "0_BACKEND_HEAD": "\nbackend {backend}\n  balance {balance}\n  mode {mode}\n  timeout server 1h",
            "0_HTTP_BACKEND_PROXYPASS_PATH": "/old",
            "0_HTTP_BACKEND_REVPROXY_PATH": "/old",
            "0_HTTP_BACKEND_REDIR": "/old/index.html",
            "1_PORT": "10008",
        },
        ports=(Port(10003), Port(10004)),
        tasks=(task(ports=(31005, 31006)),),
    ),
)
