"""The names of backends and ACLs, made of an app's id and its virtual hosts; and an app's parent group and owner."""

from __future__ import annotations

import re
from collections.abc import Collection, Container
from hashlib import sha256

from marathonlb.marathon.model import id_in_cluster

_NOT_IN_ACL_NAME = re.compile(r"[^A-Za-z0-9-]", re.ASCII)
_NOT_IN_BACKEND_NAME = re.compile(r"[^A-Za-z0-9_.-]", re.ASCII)
_DIGEST = re.compile(r":[0-9a-f]+(?=_[0-9]+\Z)", re.ASCII)


def backend_name(app_id: str, service_port: int) -> str:
    """
    Return the name of a backend: the app's id without its leading ``/``, each ``/`` as ``_``, then ``_`` and the port.

    The name of an app of a named cluster begins with the cluster's name and ``__``.
    """
    return f"{_NOT_IN_BACKEND_NAME.sub('_', app_id.lstrip('/').replace('/', '_'))}_{service_port}"


def distinct_backend_name(backend: str, key: tuple[str, int], taken: Container[str]) -> str:
    """
    Return a backend's name for a service whose plain name another service has.

    A digest stands before the port, after a colon, which no plain name contains.

    :param key: the app's id and the index of the port.
    :param taken: the names that others have; if another app's id imitates the short digest, the whole one is used.
    """
    stem, _, port = backend.rpartition("_")
    digest = sha256(f"{key[1]} {key[0]}".encode()).hexdigest()
    short = f"{stem}:{digest[:8]}_{port}"
    return short if short not in taken else f"{stem}:{digest}_{port}"


def plain_backend(backend: str) -> str:
    """Return a backend's name as its app's id makes it, without the digest of `distinct_backend_name`."""
    return _DIGEST.sub("", backend)


def cluster_of_backend(backend: str, names: Collection[str]) -> str:
    """
    Return the cluster of a backend by the backend's name; empty if it belongs to none of these clusters.

    For running backends, of which only the name is known.
    """
    name = backend.partition("__")[0]
    return name if name != backend and name in names else ""


def clean_app_id(app_id: str) -> str:
    """Return the app's id as part of an ACL's name."""
    return _NOT_IN_ACL_NAME.sub("_", app_id.lstrip("/"))


def acl_stem(hosts: tuple[str, ...], app_id: str) -> str:
    """Return the stem of a service's ACL names: its first virtual host and its app id, cleaned."""
    return f"{clean_host(hosts)}_{clean_app_id(app_id)}"


def clean_host(hosts: tuple[str, ...]) -> str:
    """Return the first virtual host as part of an ACL's name; empty if there is none."""
    return _NOT_IN_ACL_NAME.sub("_", hosts[0] if hosts else "")


def parent_of(app_id: str) -> str:
    """Return the parent group of an app, ``/shop`` of ``/shop/web``, with its cluster's name; the root is empty."""
    return app_id.rstrip("/").rpartition("/")[0]


def owner_of(app_id: str) -> str:
    """Return the owner of an app: its parent group, or at the root the app itself."""
    parent = parent_of(app_id)
    return parent if "/" in parent else app_id


def group_id(app_id: str, name: str) -> str | None:
    """
    Return the id of the deployment group that an app names: an id below its parent group.

    A name that contains slashes is such an id itself. A ``~`` in a name is doubled: a single one at the end
    distinguishes a group from an app of the same id.

    :return: None if the name is the id of a group below another parent group.
    """
    above, _, last = f"/{name}".rpartition("/")
    parent = parent_of(app_id)
    if above and above != id_in_cluster(f"{parent}/").rstrip("/"):
        return None
    return f"{parent}/{last.replace('~', '~~')}"
