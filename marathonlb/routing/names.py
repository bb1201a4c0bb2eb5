"""The names that follow from an app's id and its virtual hosts: of backends, and of ACLs."""

from __future__ import annotations

import re
from collections.abc import Collection

_UNCLEAN = re.compile(r"[^A-Za-z0-9-]", re.ASCII)
_NAME = re.compile(r"[^A-Za-z0-9_.-]", re.ASCII)


def backend_name(app_id: str, service_port: int) -> str:
    """
    The app's id without its leading ``/``, ``/`` turned to ``_``, then ``_`` and the service port.

    That of an app of a cluster with a name begins with that name and ``__``.
    """
    return f"{_NAME.sub('_', app_id.lstrip('/').replace('/', '_'))}_{service_port}"


def cluster_of_backend(backend: str, names: Collection[str]) -> str:
    """
    Which of these clusters a backend is of, by its name; empty where it is of none of them.

    For what runs already, of which nothing else is known.
    """
    name = backend.partition("__")[0]
    return name if name != backend and name in names else ""


def clean_app_id(app_id: str) -> str:
    """The app's id as part of an ACL's name."""
    return _UNCLEAN.sub("_", app_id.lstrip("/"))


def acl_stem(hosts: tuple[str, ...], app_id: str) -> str:
    """The stem of a service's ACL names: its first virtual host and its app id, cleaned."""
    return f"{clean_host(hosts)}_{clean_app_id(app_id)}"


def clean_host(hosts: tuple[str, ...]) -> str:
    """The first of some virtual hosts as part of an ACL's name."""
    return _UNCLEAN.sub("_", hosts[0] if hosts else "")
