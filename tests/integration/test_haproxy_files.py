"""Files under a real kill -9, a real limit and a real missing permission, in processes of their own."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from shutil import rmtree
from time import sleep

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.haproxy.files.publish import Files
from tests.haproxy.samples import A, B

PUBLISHING = """
import itertools, sys
from marathonlb.haproxy.files.publish import Files
from tests.haproxy.samples import A, B

files = Files(sys.argv[1])
files.recover()
for config in itertools.cycle((B, A)):
    files.publish(files.stage(config).published)
    print(end=".", flush=True)
"""

ONCE = """
import os, resource, sys
from marathonlb.errors import PublishFailed
from marathonlb.haproxy.files.publish import Files
from marathonlb.haproxy.files.state_directory import StateDirectory
from marathonlb.settings import Settings
from tests.haproxy.samples import B

path, what = sys.argv[1:]
if what == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
elif os.getuid() == 0:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
try:
    if what == "state":
        print(StateDirectory.of(Settings(haproxy_config=path)).path)
    else:
        files = Files(path)
        files.publish(files.stage(B).published)
except PublishFailed as error:
    print(error)
"""


class Case(SynchronousTestCase):
    """A directory with configuration A in it, that everybody may reach."""

    def setUp(self) -> None:
        self.directory = tempfile.mkdtemp(prefix="mlb-", dir="/tmp")
        self.addCleanup(rmtree, self.directory, ignore_errors=True)
        os.chmod(self.directory, 0o755)
        self.path = os.path.join(self.directory, "haproxy.cfg")
        self.files = Files(self.path)
        self.files.publish(self.files.stage(A).published)

    def spawn(self, script: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", script, self.path, *arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def said(self, what: str) -> str:
        process = self.spawn(ONCE, what)
        said, _ = process.communicate(timeout=60)
        return said.strip()


class KillTests(Case):
    """kill -9 in the middle of publishing."""

    def test_killed_at_random(self) -> None:
        """Whenever it is killed, each file is whole, and after recovery both are of one configuration."""
        wanted = [self.files.texts(config) for config in (A, B)]
        chance = random.Random(7)
        for _ in range(8):
            process = self.spawn(PUBLISHING)
            assert process.stdout is not None
            process.stdout.read(1)
            sleep(chance.uniform(0, 0.02))
            process.kill()
            process.communicate()
            torn = self.files.read({"domain2backend.map": None})
            assert torn is not None
            self.assertIn(torn.text, [texts.text for texts in wanted])
            self.assertIn(torn.maps["domain2backend.map"], [t.maps["domain2backend.map"] for t in wanted])
            Files(self.path).recover()
            self.assertIn(self.files.read(), wanted)
            self.assertEqual(sorted(os.listdir(self.directory)), ["domain2backend.map", "haproxy.cfg"])


class RefusalTests(Case):
    """Operations that the operating system rejects."""

    def test_limit_of_size(self) -> None:
        """A limit of a file's size is said, and what was there is whole."""
        self.assertIn("cannot be written: File too large", self.said("limit"))
        self.assertEqual(self.files.read(), self.files.texts(A))
        self.assertEqual(sorted(os.listdir(self.directory)), ["domain2backend.map", "haproxy.cfg"])

    def test_no_permission(self) -> None:
        """A directory that this user may not write is said, with what to do."""
        os.chmod(self.directory, 0o555)
        said = self.said("permission")
        os.chmod(self.directory, 0o755)
        self.assertIn("Permission denied", said)
        self.assertIn("let this user write to the directory", said)
        self.assertEqual(self.files.read(), self.files.texts(A))

    def test_default_state_directory_is_roots(self) -> None:
        """A user who may not make the default state directory keeps the state beside the configuration."""
        os.chmod(self.directory, 0o777)
        self.assertEqual(self.said("state").splitlines()[-1], os.path.join(self.directory, ".marathon-lb"))
