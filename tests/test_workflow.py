"""The workflow and the forms of .github: they are well formed, and their commands exist."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import yaml
from twisted.trial.unittest import SynchronousTestCase

from tests.paths import CHECKOUT

GITHUB = CHECKOUT / ".github"


def steps(job: dict[str, Any]) -> list[str]:
    """The lines of a job's commands."""
    return [line.strip() for step in job["steps"] for line in step.get("run", "").splitlines()]


class WorkflowTests(SynchronousTestCase):
    """.github/workflows/ci.yml."""

    def setUp(self) -> None:
        self.workflow = yaml.safe_load((GITHUB / "workflows" / "ci.yml").read_text(encoding="utf-8"))
        self.jobs = self.workflow["jobs"]

    def test_versions(self) -> None:
        """The matrix has Python from the oldest that is supported, each classified one, and three HAProxies."""
        project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        matrix = self.jobs["matrix"]["strategy"]["matrix"]
        self.assertEqual(["2.6", "2.8", "3.0"], matrix["haproxy"])
        self.assertEqual(["3.11", "3.12", "3.13", "3.14"], matrix["python"])
        self.assertEqual(f">={matrix['python'][0]}", project["requires-python"])
        classified = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
        self.assertLessEqual(set(classified), set(matrix["python"]))

    def test_targets(self) -> None:
        """Each target of make that a job calls is in the Makefile, and each script exists and may be run."""
        makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
        targets = set(re.findall(r"(?m)^([a-z-]+):(?!=)", makefile))
        lines = [line for job in self.jobs.values() for line in steps(job)]
        called = {line.split()[1] for line in lines if line.startswith("make ")}
        self.assertLessEqual({"venv", "test-unit", "test"}, called)
        self.assertLessEqual(called, targets)
        (script,) = {line for line in lines if line.startswith(".")}
        self.assertTrue((CHECKOUT / script).stat().st_mode & 0o111, script)

    def test_test_modules(self) -> None:
        """What a job hands to make test is there, and test-unit and tests.integration are all tests together."""
        modules = re.findall(r"TESTS=(\S+)", "\n".join(steps(self.jobs["matrix"])))
        self.assertEqual(["tests.integration"], modules)
        units = re.search(r"(?m)^UNITS := .*filter-out (\S+)/%,", (CHECKOUT / "Makefile").read_text())
        assert units is not None
        self.assertEqual("tests/integration", units.group(1))


class FormTests(SynchronousTestCase):
    """The forms of new issues."""

    def test_forms(self) -> None:
        """Each has a name, a description and fields with an id of their own and a label."""
        forms = [path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml"]
        self.assertTrue(forms)
        for path in forms:
            form = yaml.safe_load(path.read_text(encoding="utf-8"))
            self.assertTrue(form["name"] and form["description"], path)
            fields = [field for field in form["body"] if field["type"] != "markdown"]
            self.assertEqual(len(fields), len({field["id"] for field in fields}), path)
            self.assertTrue(all(field["attributes"]["label"] for field in fields), path)

    def test_documents(self) -> None:
        """The documents that the forms name exist."""
        text = "".join(path.read_text() for path in GITHUB.rglob("*.*") if path.is_file())
        for name in re.findall(r"\b[A-Z]+\.md\b", text):
            self.assertTrue((CHECKOUT / name).exists() or name == "PULL_REQUEST_TEMPLATE.md", name)
