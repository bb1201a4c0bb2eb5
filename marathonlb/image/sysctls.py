"""Sets the kernel parameters of ``HAPROXY_SYSCTL_PARAMS``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator


def set_sysctls(parameters: Iterable[tuple[str, str]], root: str = "/proc/sys") -> Iterator[str]:
    """
    Set kernel parameters; yield a line for each one that cannot be set.

    :param parameters: names, with dots or slashes, and values.
    :param root: the directory of the kernel's parameters.
    """
    for name, value in parameters:
        path = os.path.join(root, name if "/" in name else name.replace(".", "/"))
        try:
            with open(path, "w", encoding="ascii", errors="replace") as file:
                file.write(value)
        except OSError as error:
            yield (
                f"HAPROXY_SYSCTL_PARAMS: {name}={value} could not be set: {error.strerror}; only a privileged "
                "container may. Give it to docker run --sysctl instead, or set HAPROXY_SYSCTL_NONSTRICT to start "
                "without it"
            )
