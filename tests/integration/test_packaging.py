"""
A checkout, an editable install and a wheel all list the twistd plugins and find the templates.

Each is tried by a Python that has this one's packages but neither this checkout nor an installation of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import venv
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.paths import CHECKOUT

SOURCES = ("marathonlb", "minimarathon", "templates", "twisted", "docs/man", "packaging")
FILES = ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE")
TWISTD = "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()"
TEMPLATES = "from marathonlb.config.templates.loader import defaults_directory; print(defaults_directory())"
SECONDS = 120


def too_old() -> str | None:
    """A reason to skip where this Python's setuptools cannot build a wheel by itself."""
    try:
        major, minor = (int(part) for part in version("setuptools").split(".")[:2])
    except PackageNotFoundError:
        major, minor = 0, 0
    return None if (major, minor) >= (78, 1) else "building needs setuptools 78.1 or later: make venv has it"


class PackagingTests(SynchronousTestCase):
    """The three ways to have marathon-lb."""

    def setUp(self) -> None:
        self.work = Path(self.mktemp()).resolve()
        self.work.mkdir(parents=True)
        self.python = self.environment()
        self.sources = self.copy()

    def environment(self) -> Path:
        """A new environment whose packages are this one's, found through a path file, whose own are not read."""
        home = self.work / "venv"
        venv.create(home, with_pip=False, symlinks=True)
        packages = next((home / "lib").glob("python*")) / "site-packages"
        (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
        return home / "bin" / "python"

    def copy(self) -> Path:
        """The checkout's sources, so that building leaves nothing in the checkout."""
        sources = self.work / "sources"
        leave_out = shutil.ignore_patterns("__pycache__", "dropin.cache", "*.egg-info")
        for name in SOURCES:
            shutil.copytree(CHECKOUT / name, sources / name, ignore=leave_out)
        for name in FILES:
            if (CHECKOUT / name).exists():
                shutil.copy(CHECKOUT / name, sources / name)
        return sources

    def run_python(self, arguments: Sequence[str], directory: Path) -> str:
        """Run the environment's Python, and return its output; an error fails the test."""
        environ = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))
        }
        environ |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PYTHONWARNINGS": "ignore"}
        done = subprocess.run(
            [str(self.python), *arguments],
            cwd=directory,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        return done.stdout

    def pip(self, *arguments: str) -> None:
        """Install from the copied sources, with what is there and nothing from elsewhere."""
        common = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation")
        self.run_python(["-m", "pip", *arguments[:1], *common, *arguments[1:]], self.sources)

    def plugins(self, directory: Path) -> set[str]:
        """Return our plugins that twistd lists."""
        listed = self.run_python(["-c", TWISTD, "--help"], directory)
        commands = {line.split()[0] for line in listed.partition("Commands:")[2].splitlines() if line.strip()}
        return commands & {"marathon-lb", "minimarathon"}

    def check(self, directory: Path, templates: Path, *plugins: str) -> None:
        """
        Assert that the plugins are listed, the options are read, and the templates are found.

        :param directory: where Python runs.
        :param templates: where the templates must be found.
        :param plugins: the plugins of ours that there must be, and no others.
        """
        self.assertEqual(set(plugins), self.plugins(directory))
        self.assertIn("--callback-url", self.run_python(["-c", TWISTD, "marathon-lb", "--help"], directory))
        self.assertEqual(str(templates), self.run_python(["-c", TEMPLATES], directory).strip())
        for source in (CHECKOUT / "templates").glob("HAPROXY_*.j2"):
            self.assertEqual(source.read_bytes(), (templates / source.name).read_bytes())

    def test_checkout(self) -> None:
        """A checkout that is not installed works from its own directory."""
        self.check(self.sources, self.sources / "templates", "marathon-lb", "minimarathon")

    def test_editable(self) -> None:
        """An editable install works from anywhere and uses the checkout's files."""
        self.pip(
            "install", "--ignore-installed", "--config-settings", "editable_mode=compat", "--editable", "."
        )
        self.check(self.work, self.sources / "templates", "marathon-lb", "minimarathon")

    def test_wheel(self) -> None:
        """
        A wheel made of the source archive works from anywhere, with all that it needs.

        That is every module, its plugin, templates, Lua files, manual pages, completion, the scripts and the version.
        """
        self.run_python(["setup.py", "--quiet", "sdist"], self.sources)
        (archive,) = (self.sources / "dist").glob("marathon_lb-*.tar.gz")
        self.pip("wheel", "--wheel-dir", str(self.work / "dist"), str(archive))
        (wheel,) = (self.work / "dist").glob("marathon_lb-*.whl")
        self.pip("install", "--ignore-installed", str(wheel))
        packages = next((self.work / "venv" / "lib").glob("python*")) / "site-packages"
        self.check(self.work, packages / "marathonlb" / "templates", "marathon-lb")
        self.assertFalse((packages / "minimarathon").exists())
        for kind in ("*.py", "*.lua", "*.html", "*.css", "*.js", "*.svg", "py.typed"):
            for module in (CHECKOUT / "marathonlb").rglob(kind):
                self.assertTrue((packages / module.relative_to(CHECKOUT)).exists(), module)
        self.assertFalse((packages / "twisted" / "plugins" / "__init__.py").exists())
        for path in ("man/man1/marathon-lb.1", "bash-completion/completions/marathon-update-haproxy"):
            self.assertTrue((self.work / "venv" / "share" / path).exists(), path)
        script = str(self.python.parent / "marathon-update-haproxy")
        self.assertIn(wheel.name.split("-")[1], self.run_python([script, "--version"], self.work))

    def test_minimarathon(self) -> None:
        """minimarathon is a distribution of its own, with its modules, its sample and its plugin, and nothing else."""
        build = self.work / "minimarathon"
        assemble = self.sources / "packaging" / "minimarathon" / "assemble.sh"
        subprocess.run(["sh", str(assemble), str(build)], check=True, timeout=SECONDS)
        self.pip("install", "--ignore-installed", str(build))
        packages = next((self.work / "venv" / "lib").glob("python*")) / "site-packages"
        self.assertEqual({"minimarathon"}, self.plugins(self.work))
        source = CHECKOUT / "minimarathon"
        for path in (*source.rglob("*.py"), *source.glob("*.json"), source / "py.typed"):
            self.assertTrue((packages / path.relative_to(CHECKOUT)).exists(), path)
        self.assertFalse((packages / "marathonlb").exists())
        self.assertIn("--task-ports", self.run_python(["-c", TWISTD, "minimarathon", "--help"], self.work))

    reason = too_old()
    if reason:
        test_editable.skip = test_wheel.skip = test_minimarathon.skip = reason  # type: ignore[attr-defined]
