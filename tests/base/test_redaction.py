"""The redaction of secrets."""

from __future__ import annotations

from time import process_time

from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.base.redaction import masked, masked_value
from marathonlb.errors import Complaint, InvalidConfiguration, ReloadFailed, TemplateError
from marathonlb.logs import json_line, text_line
from marathonlb.problem_kinds.apps import LABEL_VALUE
from marathonlb.routing.problems import Problem

SECRET = "aHVudGVyMg"

LINES = (
    f"  user joe password $5${SECRET}$bcd",
    f"  user joe insecure-password {SECRET} groups a,b",
    f"  user joe groups a,b insecure-password 'b {SECRET}'",
    f"  \\x75ser joe insecure-pass\\x77ord {SECRET}",
    f'  "user" joe password {SECRET}',
    f"  user joe pasword {SECRET}",
    f"  user 'joe password {SECRET}",
    f"stats auth admin:{SECRET}",
    f'  stats  "auth" admin:{SECRET}',
    f"  stats 'auth' \"admin:x {SECRET}\"",
    f"  stats auth 'a:{SECRET}",
    f'http-request set-header Authorization "Basic {SECRET}==" if x',
    f"http-request add-header authorization Basic\\ {SECRET}==",
    f"http-request replace-header Authorization .* Basic\\ {SECRET}==",
    f"http-request set-header Proxy-Authorization {SECRET}",
    f"http-request set-header X-Api-Key {SECRET}",
    f'http-check send meth GET uri / hdr Authorization "Basic {SECRET}==" hdr Host a',
    f"option httpchk GET / HTTP/1.1\\r\\nAuthorization:\\ Basic\\ {SECRET}==\\r\\nHost:\\ a",
    f'option httpchk GET / "HTTP/1.1\\r\\nAuthorization: Basic {SECRET}==\\r\\nHost: a"',
    f'acl x req.hdr(Authorization) -m str "Bearer {SECRET}"',
    f"line 3, `user joe password {SECRET}`, holds a variable",
    f"  server a http://joe:{SECRET}@b:80",
    f"realm:joe:$2y$04${SECRET}",
    f"realm:joe:$apr1$a${SECRET}",
    f"unknown keyword '$6$rounds=99${SECRET}' in 'userlist' section",
)


PIECES = (
    'user "',
    "user 'a ",
    "user a\n",
    "user a ",
    "`user a ",
    "stats auth ",
    "insecure-password ",
    "set-header token ",
    "authorization ",
    "authorization: basic ",
    "basic ",
    "token",
    "$5$",
    "://a:",
    "a-",
    "\\x20",
    "\\",
    '"',
    "x",
    ":",
)
"""Parts of texts that could make the redaction slow."""


class MaskedTests(SynchronousTestCase):
    """`masked`."""

    def test_hidden(self) -> None:
        """No secret is left of any line, alone, in quotes and among others."""
        for line in LINES:
            for text in (line, f"it says `{line.strip()}`: no", f"a\n{line}\nb\n"):
                self.assertNotIn(SECRET, masked(text))
        self.assertEqual("r:u:***", masked_value("r:u:abJnggxhB/yWI"))
        self.assertEqual("r:u:***", masked_value("r:u:_J9..saltZj89CWa.7tY"))

    def test_shown(self) -> None:
        """What holds no secret stays as it is."""
        for line in (
            "HTTP basic authentication with a password is fine",
            "  http-request del-header Authorization if { path / }",
            "  http-request auth realm x if !{ http_auth(user_x) }",
            "  use_backend x if { req.hdr(authorization),length gt 180 }",
            "  http-response set-header Strict-Transport-Security max-age=1",
            "  stats admin if TRUE",
            "  user haproxy",
            "it wants authorization, basic or bearer",
            "http://a.example.com:80/x?y=1",
            "",
        ):
            self.assertEqual(line, masked_value(line))

    def test_long(self) -> None:
        """However a text of a label's size is made, it is read in no time."""
        for piece in PIECES:
            text = piece * (65_000 // len(piece))
            started = process_time()
            masked_value(text)
            self.assertLess(process_time() - started, 0.5, piece)


class MakersTests(SynchronousTestCase):
    """The redaction of texts in every output."""

    def test_values(self) -> None:
        """Problems, errors and HAProxy's complaints hold no secret at all."""
        for line in LINES:
            for made in (
                Problem("/a", 0, "HAPROXY_0_X", line, line, kind=LABEL_VALUE, haproxy=line),
                TemplateError(source="label HAPROXY_0_X", reason=line),
                Complaint(message=line),
                InvalidConfiguration(output=line),
                ReloadFailed(reason="x", output=line),
            ):
                self.assertNotIn(SECRET, f"{made} {made!r} {getattr(made, 'output', '')}")

    def test_log(self) -> None:
        """The log holds none, in text, in JSON and in its fields."""
        for line in LINES:
            event = {
                "log_format": "HAProxy says: {output}",
                "output": f"\n{line}",
                "log_level": LogLevel.warn,
                "log_namespace": "x",
            }
            self.assertNotIn(SECRET, text_line(event) + json_line(event))

    def test_obeyed(self) -> None:
        """The log turns no line around, and sends nothing that a terminal obeys."""
        event = {"log_format": "{a}", "a": "\x1b[31m \x9b1m \u202e \u2066 \ufeff", "log_level": LogLevel.info}
        self.assertTrue((text_line(event) + json_line(event)).replace("\n", "").isprintable())
