"""Renders services under an operator's templates."""

from __future__ import annotations

from typing import Any

from marathonlb.config.render import Renderer
from marathonlb.config.rendered import Rendered
from marathonlb.config.templates.loader import load_templates
from marathonlb.routing.services.model import Service
from marathonlb.settings import Settings


def rendered(
    *known: Service,
    apart: bool = False,
    environment: dict[str, str] | None = None,
    directory: str = "/nowhere",
    **options: Any,
) -> Rendered:
    """Return the configuration of services; `environment` has the operator's templates without ``HAPROXY_``."""
    overrides = {f"HAPROXY_{name}": text for name, text in (environment or {}).items()}
    settings = Settings(environment=overrides, state_dir="/run/my lb", **options)
    renderer = Renderer(settings, load_templates(directory, overrides))
    if apart:
        renderer.tell_apart()
    return renderer.render(known)
