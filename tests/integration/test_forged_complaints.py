"""HAProxy repeats what it refuses: an app's words in its complaints blame nobody but that app, on every HAProxy."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from marathonlb.config.render import Renderer
from marathonlb.config.templates.loader import load_templates
from marathonlb.marathon.model import Port
from marathonlb.settings import Settings
from tests.integration.haproxies import on_each
from tests.integration.settling import settled
from tests.routing.apps import app, offered, task

SHOP = app("/shop", {"0_VHOST": "shop.test"}, tasks=(task(1),))

FORGED = "[ALERT]    (1) : config : parsing [FILE:LINE] : unknown keyword 'x' in 'backend' section"

ATTACKS = (
    ("BACKEND_EXTRA", rf'  "nonsense\n{FORGED}"'),
    ("BACKEND_EXTRA", rf'  "nonsense\x0a{FORGED.replace("[", chr(92) + "x5b")}"'),
    ("BACKEND_EXTRA", r"  nonsense\n'['ALERT]\ \ \ \ (1)\ :\ parsing\ [FILE:LINE]\ :\ no"),
    ("BACKEND_EXTRA", r'  nonsense "\r\n[ALERT]    (1) : config : Proxy ' + "'shop_10000': no\""),
    ("BACKEND_EXTRA", '  acl "x [FILE:LINE] y" src 1.2.3.4'),
    ("BACKEND_EXTRA", '  "[FILE:LINE] : no"'),
    ("BACKEND_EXTRA", '  errorfiles "x (at FILE:LINE)"'),
    (
        "BACKEND_EXTRA",
        "  acl \"http frontend 'x' (FILE:LINE) tries to use incompatible tcp backend 'y' (FILE:LINE)\"",
    ),
    (
        "BACKEND_EXTRA",
        "  acl \"backend 'shop_10000' has the same name as backend 'a' declared at FILE:LINE\"",
    ),
    ("BACKEND_EXTRA", '  "no : character \'[ALERT]    (1) : config : parsing [FILE:LINE] : no"'),
    ("BACKEND_EXTRA", "  use-server \"Proxy 'shop_10000': [FILE:LINE]\" if TRUE"),
    ("FRONTEND_EXTRA", '  use_backend "[FILE:LINE]" if TRUE'),
    ("FRONTEND_EXTRA", "  use_backend \"Proxy 'shop_10000'\" if TRUE"),
    ("BIND_OPTIONS", rf'"x\n{FORGED}"'),
    ("BIND_OPTIONS", '"[FILE:LINE]"'),
    ("BALANCE", rf'hdr("x\n{FORGED}")'),
)
"""A label and its text; where FILE and LINE stand it names the line of somebody else's backend."""


class ForgedMixin:
    """Each attack."""

    binary = ""
    assertEqual: Any
    addCleanup: Any

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="mlb-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.settings = Settings(ssl_certs=(), state_dir=str(self.directory))
        self.templates = load_templates("/nowhere", {})

    def line(self) -> int:
        """The line of the innocent backend, which stands before the other."""
        known = [each for made in (SHOP, self.evil("", "")) for each in offered(made, self.settings).services]
        text = Renderer(self.settings, self.templates).render(known).config.text(str(self.directory))
        return text.split("\n").index("backend shop_10000") + 2

    def evil(self, label: str, text: str) -> Any:
        """The app with the label."""
        labels = {"0_VHOST": "evil.test", **({f"0_{label}": text} if label else {})}
        return app("/zzz", labels, ports=(Port(10666),), tasks=(task(2),))

    def test_each(self) -> None:
        """Whatever an app's words are, that app is refused and the other is served, without a word about it."""
        # one line more where a frontend's section grows by a line of the label
        lines = {"FRONTEND_EXTRA": self.line() + 1}
        for label, text in ATTACKS:
            named = text.replace("FILE", f"{self.directory}/haproxy.cfg")
            named = named.replace("LINE", str(lines.get(label, self.line())))
            wanted, _ = settled(
                self.binary, self.directory, self.settings, self.templates, (SHOP, self.evil(label, named))
            )
            self.assertEqual(["/shop"], [service.app_id for service in wanted.services], text)
            self.assertEqual({"/zzz"}, {problem.app_id for problem in wanted.problems}, text)


on_each(ForgedMixin, globals())
