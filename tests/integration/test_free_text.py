"""The labels that are text of HAProxy's configuration and no templates, on real HAProxies."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

from marathonlb.routing.labels import balance, bind_options
from tests.integration.haproxies import on_each

ALGORITHMS = (
    "roundrobin", "static-rr", "leastconn", "first", "source", "uri whole len 20 depth 3 path-only",
    "url_param user check_post 100", "hdr(host) use_domain_only", "random(100)", "rdp-cookie(mstshash)",
    "hash src,ipmask(24,64)", "hash req.hdr(X-User),lower,djb2(1)", "hash var(txn.user)",
)  # fmt: skip
HEAD = """\
defaults
  mode http
  timeout client 5s
  timeout connect 2s
  timeout server 5s
frontend f
  bind 127.0.0.1:1
"""
BACKEND = """\
backend {name}
  balance {balance}
  server a 127.0.0.1:1
"""


class FreeTextMixin:
    """Free texts, checked by HAProxy."""

    binary = ""
    assertEqual: Any
    mktemp: Any

    def test_options(self) -> None:
        """Every option of a ``bind`` line that this HAProxy knows is in one of our tables, with as many words."""
        said = subprocess.run(
            [self.binary, "-dKall", "-c", "-q", "-f", "/dev/null"], capture_output=True, text=True, timeout=60
        ).stdout
        found = dict(re.findall(r"^\s*bind <addr> (?:ssl )?([a-z0-9-]+)((?: \+1)?)$", said, re.MULTILINE))
        assert len(found) > 40, said[:200]
        single = {name for name, more in found.items() if not more}
        tables = bind_options
        self.assertEqual(set(found) - tables.FLAGS - tables.WORDS - tables.FILES - tables.BEYOND, set())
        self.assertEqual(single - tables.FLAGS - {"generate-certificates", "transparent"}, set())
        self.assertEqual(tables.FLAGS & set(found) - single, set())

    def test_algorithms(self) -> None:
        """Every algorithm that is taken is one that HAProxy takes."""
        path = Path(self.mktemp())
        text = HEAD + "".join(
            BACKEND.format(name=f"b{number}", balance=balance.balance(each))
            for number, each in enumerate(ALGORITHMS)
        )
        path.write_text(text, encoding="ascii")
        checked = subprocess.run(
            [self.binary, "-c", "-f", str(path)], capture_output=True, text=True, timeout=60
        )
        self.assertEqual(checked.returncode, 0, checked.stderr)


on_each(FreeTextMixin, globals())
