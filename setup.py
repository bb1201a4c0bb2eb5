"""Build marathon-lb: its packages, data, plugin of twistd and version. The metadata are in pyproject.toml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from setuptools import find_packages, setup
from setuptools_scm import get_version
from setuptools_scm.version import guess_next_dev_version

HERE = Path(__file__).resolve().parent


def text(path: str) -> str:
    """Return the text of a file of this checkout, or nothing where it does not exist."""
    file = HERE / path
    return file.read_text(encoding="utf-8") if file.exists() else ""


def fallback() -> str:
    """Read ``marathonlb.FALLBACK`` without an import: no dependency is installed yet."""
    match = re.search(r'^FALLBACK = "([^"]+)"$', text("marathonlb/__init__.py"), re.MULTILINE)
    assert match, "marathonlb/__init__.py has no FALLBACK"
    return match.group(1)


def scheme(described: Any) -> str:
    """Return the version by git's tags; without a tag, the fallback with the count of commits instead of its zero."""
    if described.tag.release == (0, 0):
        return f"{fallback().removesuffix('0')}{described.distance or 0}"
    return str(guess_next_dev_version(described))


def version() -> str:
    """Return git's version, that of the archive, or the fallback, and write it to ``marathonlb/_version.py``."""
    return str(
        get_version(
            relative_to=__file__,
            version_scheme=scheme,
            fallback_version=fallback(),
            version_file="marathonlb/_version.py",
            version_file_template='"""Written when the package is built."""\n\n__version__ = "{version}"\n',
        )
    )


def existing(*paths: str) -> list[str]:
    """Return those of the files that exist here: the image is built of fewer files."""
    return [path for path in paths if (HERE / path).exists()]


setup(
    version=version(),
    # minimarathon is a distribution of its own: packaging/minimarathon.
    packages=[*find_packages(include=["marathonlb", "marathonlb.*"]), "marathonlb.templates"],
    # twisted/plugins has no __init__.py, here or in Twisted: every directory of that name on the path is one package.
    py_modules=["twisted.plugins.marathonlb_plugin"],
    # The templates lie at the top of the checkout, where operators look for them.
    package_dir={"marathonlb.templates": "templates"},
    package_data={
        "marathonlb": ["py.typed", "lua/*.lua", "web/dashboard/static/*", "web/dashboard/templates/*"],
        "marathonlb.templates": ["HAPROXY_*.j2"],
    },
    data_files=[
        ("share/man/man1", existing("docs/man/marathon-lb.1", "docs/man/marathon-update-haproxy.1")),
        ("share/bash-completion/completions", existing("packaging/completion/marathon-update-haproxy")),
        ("share/zsh/site-functions", existing("packaging/completion/_marathon-update-haproxy")),
    ],
    zip_safe=False,
)
