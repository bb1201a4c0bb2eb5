"""The names that follow from an app's id and its virtual hosts: of backends, and of ACLs."""

from __future__ import annotations

import re
from collections.abc import Collection, Container
from hashlib import sha256

from marathonlb.marathon.model import id_in_cluster

_UNCLEAN = re.compile(r"[^A-Za-z0-9-]", re.ASCII)
_NAME = re.compile(r"[^A-Za-z0-9_.-]", re.ASCII)
_DIGEST = re.compile(r":[0-9a-f]+(?=_[0-9]+\Z)", re.ASCII)


def backend_name(app_id: str, service_port: int) -> str:
    """
    The app's id without its leading ``/``, ``/`` turned to ``_``, then ``_`` and the service port.

    That of an app of a cluster with a name begins with that name and ``__``.
    """
    return f"{_NAME.sub('_', app_id.lstrip('/').replace('/', '_'))}_{service_port}"


def told_apart(backend: str, key: tuple[str, int], taken: Container[str]) -> str:
    """
    Return a backend's name for a service whose plain name is another one's.

    A digest stands before the port, behind a colon, which no plain name holds.

    :param key: the app's id and the index of the port.
    :param taken: the names that others have; a digest that somebody has found out by trying grows.
    """
    stem, _, port = backend.rpartition("_")
    digest = sha256(f"{key[1]} {key[0]}".encode()).hexdigest()
    short = f"{stem}:{digest[:8]}_{port}"
    return short if short not in taken else f"{stem}:{digest}_{port}"


def plain_backend(backend: str) -> str:
    """Return a backend's name as its app's id makes it, without the digest of `told_apart`."""
    return _DIGEST.sub("", backend)


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


def parent_of(app_id: str) -> str:
    """Return the parent group of an app, ``/shop`` of ``/shop/web``, with its cluster's name; the root is empty."""
    return app_id.rstrip("/").rpartition("/")[0]


def owner_of(app_id: str) -> str:
    """Return whose an app is: its parent group's, at the root its own."""
    parent = parent_of(app_id)
    return parent if "/" in parent else app_id


def group_id(app_id: str, name: str) -> str | None:
    """
    Return the id of the deployment group that an app names: one among the ids of its parent group.

    A name that holds slashes is such an id itself. A ``~`` in a name is doubled: a single one at the end tells a group
    from an app of its id.

    :return: None where the name is the id of a group below another parent group.
    """
    above, _, last = f"/{name}".rpartition("/")
    parent = parent_of(app_id)
    if above and above != id_in_cluster(f"{parent}/").rstrip("/"):
        return None
    return f"{parent}/{last.replace('~', '~~')}"
