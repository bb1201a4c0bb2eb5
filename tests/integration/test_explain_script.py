"""The script's `--explain` and `--policy`, with a Marathon."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue

from tests.integration.controllers import Controlled, app
from tests.integration.haproxies import PACKAGE, free_port
from tests.integration.minimarathons import MarathonTestCase, until
from tests.paths import CHECKOUT

APP = {
    "id": "/shop/web",
    "cmd": "exec sleep 1000",
    "instances": 1,
    "portDefinitions": [{"port": 10000}],
    "labels": {"HAPROXY_0_VHOST": "shop.example.com"},
}


class ExplainTests(MarathonTestCase):
    """The exit status and the output of the command."""

    async def script(self, *arguments: str) -> tuple[str, str, int]:
        """Standard output, standard error and exit status of the script, which leaves no configuration behind."""
        work = Path(self.mktemp()).resolve()
        work.mkdir(parents=True)
        files = ("--haproxy-config", str(work / "haproxy.cfg"), "--state-dir", str(work / "state"))
        program = str(CHECKOUT / "marathon-update-haproxy.py")
        out, err, code = await getProcessOutputAndValue(
            sys.executable,
            [program, *files, *arguments],
            {**os.environ, "PYTHONPATH": str(CHECKOUT)},
            str(work),
            reactor,
        )
        self.assertFalse((work / "haproxy.cfg").exists())
        return out.decode(), err.decode(), code

    async def test_explain(self) -> None:
        """A URL is explained from what Marathon says now, and why it is not served under a policy."""
        marathon = self.marathon()
        await self.ask(marathon, "POST", "/v2/apps", APP)
        await until(lambda: self.tasks(marathon, "/shop/web"))
        url = "http://shop.example.com/cart?x=1"
        out, err, code = await self.script("--marathon", marathon.url, "--explain", url)
        self.assertEqual(0, code)
        self.assertIn("no daemon answers", err)
        self.assertIn("Asking Marathon instead; what HAProxy has refused is not known", err)
        self.assertIn("the entry shop.example.com of domain2backend.map catches it", out)
        self.assertIn("leads to /shop/web port 0", out)
        policy = Path(self.mktemp()).resolve()
        policy.write_text('[apps."/shop"]\nhosts = []\n')
        out, _, code = await self.script(
            "--marathon", marathon.url, "--policy", str(policy), "--explain", "/shop/web"
        )
        self.assertEqual(0, code)
        self.assertIn("its port is not served", out)
        self.assertIn('the policy forbids it: apps."/shop" allows no hosts', out)

    async def test_dry_knows_haproxy(self) -> None:
        """--dry prints what the HAProxy that is there would be given: 3.3 and later take no name twice."""
        marathon = self.marathon()
        await self.ask(marathon, "POST", "/v2/apps", APP)
        templates = Path(self.mktemp()).resolve()
        templates.mkdir()
        (templates / "HAPROXY_FRONTEND_HEAD").write_text(
            "frontend {backend}\n  bind {bindAddr}:{servicePort}\n"
        )
        for version, name in (("3.2.9", "shop_web_10000"), ("3.3.1", "shop_web_10000_in")):
            haproxy = templates / f"haproxy-{version}"
            haproxy.write_text(f"#!/bin/sh\necho 'HAProxy version {version} 2026/01/01'\n")
            haproxy.chmod(0o755)
            places = ("--templates", str(templates), "--haproxy", str(haproxy))
            out, err, code = await self.script("--marathon", marathon.url, *places, "--dry")
            self.assertEqual(0, code, err)
            self.assertIn(f"frontend {name}\n", out)

    async def test_wrong(self) -> None:
        """What cannot be explained, and a policy that is none, exit with 2 and one line, before anyone is asked."""
        policy = Path(self.mktemp()).resolve()
        policy.write_text("[defaults]\nport = []\n")
        nobody = ("--marathon", "http://127.0.0.1:1")
        for arguments, words in (
            (("--explain", "ftp://x"), "--explain: 'ftp://x' is not a URL (http://host/path), an app id"),
            (("--policy", str(policy)), "is not a policy: line 2, defaults.port: is unknown here"),
            (("--policy", "/nonexistent", "--dry"), "is not a file that can be read"),
        ):
            out, err, code = await self.script(*nobody, *arguments)
            self.assertEqual((2, ""), (code, out), err)
            self.assertIn(words, err.strip().splitlines()[-1])
            self.assertNotIn("Traceback", err)


class BesideDaemonTests(Controlled, MarathonTestCase):
    """The exit status and the output of the command while the daemon runs."""

    haproxy = PACKAGE

    async def test_quarantined(self) -> None:
        """The running daemon is asked, so HAProxy's own words on what it has refused are told."""
        service = self.marathon()
        self.daemon(service.url)
        await self.create(service, app("shop", free_port(), HAPROXY_0_BACKEND_EXTRA="  no-such-keyword x"))
        await until(lambda: "no-such-keyword" in self.log(), 30)
        nobody = "http://127.0.0.1:1"
        run = await self.script(nobody, "--explain", "/shop")
        self.assertEqual((0, ""), (run.returncode, run.stderr))
        self.assertIn("HAPROXY_0_BACKEND_EXTRA", run.stdout)
        self.assertIn("unknown keyword 'no-such-keyword' in 'backend' section", run.stdout)
