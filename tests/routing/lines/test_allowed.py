"""Lines of HAProxy's configuration that a policy calls harmless, and everything else."""

from __future__ import annotations

import time

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.templates.table import PER_APP_NAMES, TEMPLATES
from marathonlb.routing.lines.allowed import LINES, LITERAL, MOST_EFFORT, SERVER_WORDS, effort, refusal

HARMLESS = (
    ("BACKEND_HEAD", "\nbackend {backend}\n  balance {balance}\n  mode {mode}\n  timeout server 1h\n"),
    ("BACKEND_HEAD", "# mine\nbackend {backend}\n\tmode http\n"),
    ("BACKEND_HTTP_OPTIONS", "  option forwardfor\n  no option http-keep-alive\n"),
    ("BACKEND_HTTP_OPTIONS", "  http-request set-header X-Forwarded-Port %[dst_port]\n"),
    ("BACKEND_HTTP_OPTIONS", "  http-request add-header X-Forwarded-Proto https if { ssl_fc }"),
    ("BACKEND_HTTP_OPTIONS", "  http-request set-header Host www.example.com\n  option httplog"),
    (
        "BACKEND_HTTP_HEALTHCHECK_OPTIONS",
        "  option  httpchk GET {healthCheckPath} HTTP/1.1\\r\\nHost:\\ www\n",
    ),
    ("BACKEND_HTTP_HEALTHCHECK_OPTIONS", "  timeout check {healthCheckTimeoutSeconds}s\n"),
    (
        "BACKEND_HTTP_HEALTHCHECK_OPTIONS",
        "  http-check send meth GET uri {healthCheckPath} ver HTTP/1.1 hdr Host a",
    ),
    ("BACKEND_HTTP_HEALTHCHECK_OPTIONS", "  http-check expect status 200-299"),
    ("BACKEND_HSTS_OPTIONS", "  http-response set-header Strict-Transport-Security max-age=1; # a comment"),
    ("BACKEND_HSTS_OPTIONS", '  http-response set-header A "max-age=15724800; includeSubDomains"'),
    ("BACKEND_STICKY_OPTIONS", "  cookie SRV insert indirect nocache httponly secure maxidle 30m"),
    ("BACKEND_EXTRA", "  compression algo gzip\n  compression type text/html text/css application/json"),
    (
        "BACKEND_EXTRA",
        "  http-request deny deny_status 404 if { path_beg /admin } !{ src 10.0.0.0/8 192.168.0.0/16 }",
    ),
    (
        "BACKEND_EXTRA",
        "  http-request deny if METH_POST { req.hdr(host),lower -m str -i a.test } or { path / }",
    ),
    ("BACKEND_EXTRA", "  redirect scheme https code 301 if !{ ssl_fc }\n  retries 2\n  fullconn 100"),
    ("BACKEND_EXTRA", "  http-request redirect location https://%[hdr(host),host_only]/x code 302"),
    ("BACKEND_EXTRA", "  http-response del-header Server\n  http-after-response set-header A b"),
    ("FRONTEND_EXTRA", "  timeout client 15m\n  option http-buffer-request"),
    (
        "BACKEND_SERVER_OPTIONS",
        "  server {serverName} {host_ipv4}:{port}{cookieOptions}{healthCheckOptions}{otherOptions} maxconn 5\n",
    ),
    (
        "BACKEND_SERVER_OPTIONS",
        "  timeout connect 5s\n  server {serverName} {host}:{port} ssl verify none {otherOptions}",
    ),
    (
        "BACKEND_SERVER_HTTP_HEALTHCHECK_OPTIONS",
        "  check inter {healthCheckIntervalSeconds}s fall {healthCheckFalls}",
    ),
    ("SERVER_EXTRA", "slowstart 30s weight 5 sni req.hdr(host) alpn h2"),
    ("BIND_OPTIONS", "ssl alpn h2,http/1.1 ssl-min-ver TLSv1.2 maxconn 500"),
    ("BACKEND_EXTRA", "  http-request set-header Host {hostname}\n  http-check send hdr Host {hostname}"),
    (
        "BACKEND_EXTRA",
        "  http-request redirect location https://{hostname}/x if {{ path,url_dec -m beg /y }}",
    ),
    ("BACKEND_EXTRA", "  http-check expect min-recv 1 ! string down\n  http-response set-status 503"),
    ("BACKEND_EXTRA", "  http-response set-header A %[int(1),add(2),mul(-3),concat(a,,b),bytes(0,2)]"),
    ("BACKEND_EXTRA", "  option forwardfor except 127.0.0.0/8 header X-Client"),
    ("SERVER_EXTRA", "check inter 500ms fastinter 2s downinter 1000"),
    ("BACKEND_HTTP_OPTIONS", ""),
    ("BACKEND_EXTRA", "\x0b"),
    ("FRONTEND_HEAD", ""),
)

HARMFUL = (
    # files
    ("BACKEND_HTTP_OPTIONS", "  http-request return status 200 content-type text/plain file /etc/passwd"),
    ("BACKEND_EXTRA", "  errorfile 503 /etc/shadow"),
    ("BACKEND_EXTRA", "  http-request deny if { src -f /etc/passwd }"),
    ("BACKEND_EXTRA", "  http-response set-header X %[str(a),map(/etc/passwd)]"),
    ("BACKEND_EXTRA", "  http-request deny errorfile /etc/passwd"),
    ("SERVER_EXTRA", "ssl ca-file /etc/passwd"),
    ("SERVER_EXTRA", "ssl crt /etc/ssl/bank.pem"),
    ("BIND_OPTIONS", "ssl crt /etc/ssl/bank.pem"),
    # the environment
    ("BACKEND_HTTP_OPTIONS", "  http-response set-header X %[env(MARATHON_LB_SECRET)]"),
    ("BACKEND_EXTRA", "  http-response set-header X \"$HOME\""),
    ("BACKEND_EXTRA", "  http-response set-header X \"${HOME}\""),
    ("BACKEND_EXTRA", "  http-request deny if { env(HOME) -m beg /root }"),
    ("BACKEND_EXTRA", "  http-response set-header X \\x25[env(HOME)]"),
    ("BACKEND_EXTRA", "  http-response set-header X %\"[env(HOME)]\""),
    ("BACKEND_EXTRA", "  http-response set-header X %'[env(HOME)]'"),
    ("BACKEND_EXTRA", "  http-response set-header X %{+Q}[env(HOME)]"),
    ("BACKEND_EXTRA", "  http-response set-header X %(a)[env(HOME)]"),
    ("BACKEND_EXTRA", "  http-response set-header X %[dst_port]%[env(HOME)]"),
    ("BACKEND_EXTRA", "  http-response set-header X %[str(a),concat(b),env(HOME)]"),
    ("BACKEND_EXTRA", "  http-response set-header X %[proc.x]"),
    ("BACKEND_EXTRA", "  http-response set-header X {path}"),
    ("BACKEND_EXTRA", "  http-response set-header X {healthCheckPath}"),
    ("BACKEND_EXTRA", "  http-check send meth GET uri / hdr X {healthCheckPath}"),
    ("BACKEND_EXTRA", "  http-check send uri-lf {healthCheckPath}"),
    ("BACKEND_EXTRA", "  option httpchk GET / HTTP/1.1\\r\\nX:\\ {healthCheckPath}"),
    ("BACKEND_EXTRA", "  option httpchk GET / HTTP/1.1\\r\\nX:\\ %[env(HOME)]"),
    ("BACKEND_EXTRA", "  balance random(2000000000)"),
    ("BACKEND_EXTRA", "  http-response set-header X {balance}"),
    ("BACKEND_EXTRA", "  timeout server {balance}"),
    ("BACKEND_HTTP_OPTIONS", "  http-response set-header X %{mode}[env(HOME)]"),
    ("BACKEND_EXTRA", "  http-response set-header X %{hostname}[env(HOME)]"),
    ("BACKEND_EXTRA", "  http-response set-header X %{healthCheckPort}{hostname}[env(HOME)]"),
    ("BACKEND_EXTRA", "  http-request deny if {{ path {hostname}-f /etc/passwd }}"),
    ("BACKEND_EXTRA", "  http-request deny if {{ path {hostname}{healthCheckPort}-f /etc/passwd }}"),
    ("BACKEND_EXTRA", "  http-check expect {hostname}rstring (a+)+$"),
    ("BACKEND_EXTRA", "  http-check send meth GET hdr uri {healthCheckPath}"),
    ("BACKEND_EXTRA", "  http-check send hdr uri {healthCheckPath}"),
    ("BACKEND_EXTRA", "  option httpchk GET \"{healthCheckPath}\""),
    ("BACKEND_EXTRA", "  option httpchk GET '{healthCheckPath}'"),
    ("BACKEND_EXTRA", "  balance \"{balance}\""),
    ("BACKEND_EXTRA", "  http-response set-header X %[str(a),concat(-,proc.secret)]"),
    ("BACKEND_EXTRA", "  http-response set-header X %[int(0),add(proc.secret)]"),
    ("BACKEND_EXTRA", "  http-response set-header X %[str(abc),bytes(proc.secret)]"),
    # other messages on the connection
    ("BACKEND_EXTRA", "  http-response set-header X a\\r\\n\\r\\nHTTP/1.1\\ 200"),
    ("BACKEND_EXTRA", "  http-response set-header X \"a\\r\\nSet-Cookie: b\""),
    ("BACKEND_EXTRA", "  http-response set-header X %[res.hdr(y),url_dec]"),
    ("BACKEND_EXTRA", "  http-response set-header Content-Length 5"),
    ("BACKEND_EXTRA", "  http-after-response add-header transfer-encoding chunked"),
    ("BACKEND_EXTRA", "  http-response del-header Transfer-Encoding"),
    ("BACKEND_EXTRA", "  http-response set-status 101"),
    # names that HAProxy looks up while everybody waits
    ("BACKEND_EXTRA", "  http-request deny if {{ src slow.example.com }}"),
    ("BACKEND_EXTRA", "  http-request deny if {{ hdr(x) -m ip slow.example.com }}"),
    ("BACKEND_EXTRA", "  option forwardfor header X except slow.example.com"),
    # time
    ("BACKEND_EXTRA", "  http-check expect min-recv 1 rstring (a+)+$"),
    ("BACKEND_EXTRA", "  http-check expect comment a rstatus (2+)+$"),
    ("BACKEND_EXTRA", "  http-check expect hdr name x value -m reg (a+)+$"),
    ("BACKEND_EXTRA", "  retries 999999999"),
    ("SERVER_EXTRA", "check check-ssl inter 1ms"),
    ("SERVER_EXTRA", "check inter 1"),
    # other hosts, maps, Lua, addresses of clients
    ("BIND_OPTIONS", "accept-proxy"),
    ("BACKEND_EXTRA", "  http-request set-map(path2backend.map) bank.test/ mine"),
    ("BACKEND_EXTRA", "  http-request lua.x"),
    ("BACKEND_EXTRA", "  http-request use-service lua.getconfig"),
    ("BACKEND_EXTRA", "  http-request use-service prometheus-exporter"),
    ("BACKEND_EXTRA", "  http-request set-src str(127.0.0.1)"),
    ("BACKEND_EXTRA", "  http-request set-var(proc.x) str(1)"),
    ("BACKEND_EXTRA", "  http-request track-sc0 src table other"),
    ("BACKEND_EXTRA", "  http-request deny if { src_http_req_rate(other) gt 1 }"),
    ("BACKEND_EXTRA", "  http-request deny if { nbsrv(bank_web_10000) lt 1 }"),
    ("BACKEND_EXTRA", "  http-request cache-use bank"),
    ("BACKEND_EXTRA", "  http-request do-resolve(txn.a,b) str(a)"),
    ("BACKEND_EXTRA", "  http-request silent-drop"),
    ("BACKEND_EXTRA", "  http-request deny if { path -m reg (a+)+$ }"),
    ("BACKEND_EXTRA", "  http-request replace-path (a+)+$ /"),
    ("BACKEND_EXTRA", "  http-request deny if { path_reg (a+)+$ }"),
    ("BACKEND_EXTRA", "  acl network_allowed src 0.0.0.0/0"),
    ("BACKEND_EXTRA", "  option external-check"),
    ("BACKEND_EXTRA", "  option transparent"),
    ("BACKEND_EXTRA", "  external-check command /bin/sh"),
    ("BACKEND_EXTRA", "  log 10.0.0.1:514 local0"),
    ("BACKEND_EXTRA", "  source 10.0.0.1"),
    ("BACKEND_EXTRA", "  filter lua.x"),
    ("BACKEND_EXTRA", "  tcp-check connect addr 10.0.0.1 port 22"),
    ("BACKEND_EXTRA", "  http-check connect addr 10.0.0.1"),
    ("BACKEND_EXTRA", "  http-check expect rstatus (2+)+$"),
    ("BACKEND_EXTRA", "  stats enable"),
    ("BACKEND_EXTRA", "  use-server a if TRUE"),
    ("BACKEND_EXTRA", "  server x unix@/run/marathon-lb/web.sock send-proxy-v2"),
    ("BACKEND_EXTRA", "  server-template a 5 b.test:80"),
    ("BACKEND_EXTRA", "  default-server ssl"),
    # another section
    ("BACKEND_EXTRA", "frontend evil\n  bind :443"),
    ("BACKEND_EXTRA", "  \"frontend\" evil"),
    ("BACKEND_EXTRA", "f\\rontend evil"),
    ("BACKEND_EXTRA", "backend {backend}"),
    ("BACKEND_EXTRA", ".notice x"),
    ("BACKEND_HEAD", "backend bank_web_10000\n"),
    ("BACKEND_HEAD", "  timeout server 1h\n"),
    ("BACKEND_HEAD", "# nothing\n"),
    ("BACKEND_HEAD", "backend {backend}\nbackend other\n"),
    ("BACKEND_HEAD", "backend {backend} from other\n"),
    # servers that are not the task
    ("BACKEND_SERVER_OPTIONS", "  server {serverName} {host_ipv4}:22"),
    ("BACKEND_SERVER_OPTIONS", "  server {serverName} 127.0.0.1:{port}"),
    ("BACKEND_SERVER_OPTIONS", "  server {serverName} unix@/run/marathon-lb/haproxy.sock"),
    ("BACKEND_SERVER_OPTIONS", "  server x {host_ipv4}:{port}"),
    ("BACKEND_SERVER_OPTIONS", "  server {serverName} {host_ipv4}:{port} addr 10.0.0.1"),
    ("BACKEND_SERVER_OPTIONS", "  server {serverName} {host_ipv4}:{port} track bank/a"),
    ("BACKEND_SERVER_OPTIONS", "  server {serverName} {host_ipv4}:{port} source 0.0.0.0 usesrc clientip"),
    ("SERVER_EXTRA", "agent-check agent-addr 10.0.0.1 agent-port 22"),
    ("SERVER_EXTRA", "port 22"),
    ("SERVER_EXTRA", "check\n  server x unix@/run/a"),
    ("BIND_OPTIONS", "interface eth0"),
    ("BIND_OPTIONS", "transparent"),
    ("BIND_OPTIONS", "level admin"),
    # text that others share, and guards
    ("HTTP_FRONTEND_ACL", "  option httplog"),
    ("HTTP_FRONTEND_ACL", ""),
    ("MAP_HTTP_FRONTEND_ACL", "  option httplog"),
    ("BACKEND_REDIRECT_HTTP_TO_HTTPS", "  redirect scheme https"),
    ("HTTP_BACKEND_NETWORK_ALLOWED_ACL", ""),
    ("USERLIST_HEAD", ""),
    ("FRONTEND_HEAD", "  mode http"),
    ("FRONTEND_BACKEND_GLUE", "  default_backend bank_web_10000"),
    # letters
    ("BACKEND_EXTRA", "  option forwardfor \x01healthCheckPath\x02"),
    ("BACKEND_EXTRA", "  option forwardfor\x0b"),
    ("BACKEND_EXTRA", "  http-response set-header X \"open"),
    ("BACKEND_EXTRA", "  http-response set-header X end\\"),
)  # fmt: skip


class RefusalTests(SynchronousTestCase):
    """What is harmless, and what is not."""

    def test_harmless(self) -> None:
        """Timeouts, options, headers, compression and their kin are allowed in the service's own sections."""
        for name, text in HARMLESS:
            self.assertEqual("", refusal(name, text), (name, text))

    def test_harmful(self) -> None:
        """Whatever reaches files, the environment, sockets, other services or shared text is refused with a reason."""
        for name, text in HARMFUL:
            self.assertNotEqual("", refusal(name, text), (name, text))

    def test_words(self) -> None:
        """The owner reads which line it is, and what is wrong there."""
        said = refusal("BACKEND_EXTRA", "  option forwardfor\n  server a 10.0.0.1:80")
        self.assertEqual("line 2: 'server' is not among the directives that are allowed", said)
        self.assertLess(len(refusal("BACKEND_EXTRA", "x" * 60_000)), 200)

    def test_names(self) -> None:
        """Every label that may be overridden here is a template."""
        self.assertLessEqual(LINES | SERVER_WORDS, PER_APP_NAMES)

    def test_literal(self) -> None:
        """The texts in which nothing is filled in are those of the table of templates."""
        self.assertEqual(LITERAL, {spec.name for spec in TEMPLATES if spec.per_app and spec.literal})

    def test_effort(self) -> None:
        """Lines that take HAProxy long for one request are told from ordinary ones, which cost next to nothing."""
        ordinary = "".join(f"{text.rstrip()}\n" for name, text in HARMLESS if name == "BACKEND_EXTRA")
        self.assertLess(effort("BACKEND_EXTRA", ordinary), MOST_EFFORT / 2)
        searched = "  http-request deny if {{ hdr(x) -m sub -i " + "aaab " * 55 + "}}\n"
        converted = f"  http-request set-header X %[req.hdr(y){',lower,upper' * 100}]\n"
        named = "  http-request deny if !{{ path_sub " + "aaab " * 55 + "}}\n"
        quoted = '  http-request deny if {{ hdr(x) "-m" d"o"m -i ' + "aaab " * 55 + "}}\n"
        listed = "  http-request deny if {{ hdr(x) a }} !{{ req.hdr(y),lower b }}\n" * 10
        for text in (searched * 2, converted * 3, named * 2, quoted * 2, listed, "  retries 2\n" * 2000):
            self.assertEqual("", refusal("BACKEND_EXTRA", text), text)
            self.assertGreaterEqual(effort("BACKEND_EXTRA", text), MOST_EFFORT, text)

    def test_cost(self) -> None:
        """A text as long as a label may be costs little, whatever it holds."""
        size = 64_000
        pieces = (
            "a",
            "\\a",
            '"',
            "'a' ",
            "%[",
            "{",
            "}",
            "{a}",
            "%[src]",
            "http-request ",
            "src,",
            "(",
            "\n",
            "{ src }",
        )
        for piece in pieces:
            text = f"http-response set-header X {piece * (size // len(piece))}"
            begun = time.process_time()
            refusal("BACKEND_EXTRA", text)
            self.assertLess(time.process_time() - begun, 0.5, piece)
