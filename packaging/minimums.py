"""List the smallest version of each dependency that pyproject.toml accepts, a line each for pip (see `make audit`)."""

from __future__ import annotations

import re
from importlib.metadata import requires

EXTRAS = ("dcos", "haproxy")
"""The extras that users install; those of the tests and linters run on no load balancer."""

_REQUIREMENT = re.compile(r'([A-Za-z0-9_.-]+)(?:\[[^]]*\])?>=([0-9.]+)(?:; extra == "([a-z]+)")?')


def minimums() -> dict[str, str]:
    """
    Return the minimum versions by the dependency's name.

    :raises ValueError: a dependency has none.
    """
    found = {}
    for line in requires("marathon-lb") or ():
        match = _REQUIREMENT.fullmatch(line.replace("'", '"'))
        if match is None and "extra ==" not in line:
            raise ValueError(f"{line}: a dependency needs a minimum version, such as name>=1.2")
        if match is not None and (match[3] is None or match[3] in EXTRAS):
            found[match[1].lower()] = match[2]
    return found


if __name__ == "__main__":
    print("\n".join(f"{name}=={version}" for name, version in sorted(minimums().items())))
