"""The text of the https port where it asks for names: overrides of long ago, switches, long lists."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.config.https import LONGEST_SOCKET_NAME, moved, renamed, tls_socket
from marathonlb.config.rendered import Rendered
from marathonlb.config.templates.loader import Templates
from marathonlb.routing.services.model import Service
from marathonlb.settings import Account, Settings
from tests.config.clusters import DEFAULTS, overriding, renderer, section
from tests.routing.apps import service

PASSED = service("through", 1, mode="tcp", passthrough=("t.test", "*.w.test"))
OWN = service(
    "own", 2, hosts=("own.test",), ssl_certs=("/own.pem",), bind_options="ca-file /ca verify required"
)
PLAIN = service("plain", 3, hosts=("p.test",))
SHARED = {"ssl_certs": ("/shared.pem",)}


def text(rendered: Rendered, kind: str, start: str) -> str:
    """The text of the section of this kind whose name begins so."""
    (found,) = (each for each in rendered.config if each.kind == kind and each.name.startswith(start))
    return found.text


class TextTests(SynchronousTestCase):
    """What is written."""

    def render(self, *services: Service, templates: Templates = DEFAULTS, **options: object) -> Rendered:
        rendered = renderer(templates, **{**SHARED, **options}).render(services)
        self.assertEqual((), rendered.problems)
        return rendered

    def test_groups(self) -> None:
        """The name leads to a backend, that to a socket, and that to a frontend which knows whose it is."""
        rendered = self.render(PLAIN, OWN, group_https_by_vhost=True)
        asking = section(rendered, "marathon_https_in")
        name = asking.text.split("use_backend ")[1].split()[0]
        self.assertIn(f"use_backend {name} if {{ req.ssl_sni,lower,rtrim(.) own.test }}\n", asking.text)
        self.assertIn("\n  default_backend marathon_https_shared_", asking.text)
        place = tls_socket(Settings(), name)
        self.assertIn(f" {place.address} send-proxy-v2", text(rendered, "backend", name))
        front = text(rendered, "frontend", f"{name}_in")
        self.assertIn(
            f"bind {place.address} mode 600 accept-proxy ssl crt /own.pem alpn h2,http/1.1 ca-file /ca verify required",
            front,
        )
        for chunk in section(rendered, f"{name}_in").chunks[:1]:
            self.assertEqual(("/own", 0), (chunk.owner.app_id, chunk.owner.port_index))
        names = [(each.kind, each.name) for each in rendered.config]
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual(len(names), len({name for _, name in names}))

    def test_sessions(self) -> None:
        """Where clients are asked for certificates no TLS session is kept, unless HAProxy tells them apart."""
        line = "\n  tune.ssl.cachesize 0\n"
        port = service("port", 4, ssl_certs=("/own.pem",), bind_options="ca-file /ca  verify  optional")
        tasks = service("tasks", 5, hosts=("x.test",), backend_ssl="/ca", servers=PLAIN.servers)
        for some, options, wanted in (
            ((PLAIN, OWN), {"group_https_by_vhost": True}, 1),
            ((PLAIN, port), {}, 1),
            ((PLAIN, tasks, PASSED), {"group_https_by_vhost": True}, 0),
        ):
            made = renderer(**{**SHARED, **options})
            self.assertEqual(wanted, made.render(some).config.template.count(line), options)
            self.assertTrue(made.trust_sessions())
            self.assertFalse(made.trust_sessions())
            self.assertEqual(0, made.render(some).config.template.count(line), options)

    def test_overrides_of_long_ago(self) -> None:
        """Templates that name frontend, backend and socket alike are told apart, and their socket is closed."""
        old = overriding(
            HTTPS_GROUPED_VHOST_FRONTEND_HEAD="frontend {name}\n"
            "  bind abns@{name} accept-proxy ssl {sslCerts}{bindOpts}\n",
            HTTPS_GROUPED_VHOST_BACKEND_HEAD="backend {name}\n  server loopback abns@{name} send-proxy-v2",
            HTTPS_GROUPED_VHOST_FRONTEND_ACL="  use_backend {backend} if {{ req.ssl_sni -i {host} }}",
        )
        wild = service("wild", 4, hosts=("*.w.test",), ssl_certs=("/w.pem",))
        rendered = self.render(PLAIN, OWN, wild, templates=old, group_https_by_vhost=True)
        self.assertIn("use_backend marathon_https___w_test_", text(rendered, "frontend", "marathon_https_in"))
        self.assertIn("{ req.ssl_sni -i -m end .w.test }\n", text(rendered, "frontend", "marathon_https_in"))
        front = text(rendered, "frontend", "marathon_https_own")
        (name,) = (line.split()[1] for line in front.splitlines() if line.startswith("frontend "))
        self.assertTrue(name.endswith("_in"))
        place = tls_socket(Settings(), name.removesuffix("_in"))
        self.assertIn(f"bind {place.address} mode 600 accept-proxy ssl crt /own.pem ca-file", front)
        back = text(rendered, "backend", name.removesuffix("_in"))
        self.assertIn(f"server loopback {place.address} send-proxy-v2\n", back)
        self.assertNotIn("abns@", rendered.config.template)

    def test_switched_off(self) -> None:
        """An empty head switches the port off, or the host."""
        off = overriding(HTTPS_GROUPED_FRONTEND_HEAD="")
        rendered = self.render(PLAIN, OWN, PASSED, templates=off, group_https_by_vhost=True)
        self.assertNotIn("marathon_https_in", {each.name for each in rendered.config})

    def test_without_certificate(self) -> None:
        """Without a certificate there is no frontend that ends TLS, and no rule that leads to it."""
        under = service("under", 5, hosts=("x.w.test",))
        rendered = self.render(PLAIN, PASSED, under, ssl_certs=())
        asking = text(rendered, "frontend", "marathon_https_in")
        self.assertNotIn("x.w.test", asking)
        self.assertNotIn("default_backend", asking)
        self.assertEqual(2, asking.count("use_backend through_1 if"))
        for groups in (True, False):
            names = {
                each.name for each in self.render(PLAIN, ssl_certs=(), group_https_by_vhost=groups).config
            }
            self.assertNotIn("marathon_https_in", names)

    def test_many(self) -> None:
        """However many hosts there are, no line has more words than HAProxy reads."""
        many = [service(f"s{n}", 100 + n, mode="tcp", passthrough=(f"h{n}.test",)) for n in range(200)]
        under = [service(f"u{n}", 1000 + n, hosts=(f"u{n}.w.test",)) for n in range(100)]
        rendered = self.render(PLAIN, PASSED, *many, *under)
        longest = max(len(line.split()) for line in rendered.config.template.splitlines())
        self.assertLess(longest, 60)
        self.assertIn("h199.test", text(rendered, "frontend", "marathon_https_shared"))
        self.assertEqual(
            3, text(rendered, "frontend", "marathon_https_in").count("use_backend marathon_https_shared")
        )

    def test_moved(self) -> None:
        """A frontend moves behind another one with everything but its name and its addresses."""
        before = "\n# old\nfrontend marathon_https_in\n  bind *:443 ssl crt /a alpn h2\n"
        before += "  bind :::443 ssl crt /a\n  mode http\n"
        after = (
            "\n# old\nfrontend x_in\n  bind unix@/x mode 600 accept-proxy ssl crt /a alpn h2\n  mode http\n"
        )
        self.assertEqual(after, moved(before, "x", "unix@/x mode 600"))

    def test_renamed(self) -> None:
        """A frontend is renamed where it has its backend's name alone."""
        self.assertEqual("frontend x_in\n  bind abns@x\n", renamed("frontend x\n  bind abns@x\n", "x"))
        self.assertEqual("frontend xy\n", renamed("frontend xy\n", "x"))

    def test_sockets(self) -> None:
        """Each frontend, and each user that it may be for, has a socket of its own, which only that user may use."""
        account = Account(user="h", group="h", uid=7, gid=8)
        places = [
            tls_socket(Settings(account=whose), name)
            for name in ("a", "b")
            for whose in (None, account, Account(user="i", group="h", uid=9, gid=8))
        ]
        self.assertEqual(6, len({place.address for place in places}))
        self.assertEqual([" mode 600", " mode 600 uid 7 gid 8"], [place.options for place in places[:2]])
        longest = max(len(place.address.rpartition("/")[2]) for place in places)
        self.assertEqual(LONGEST_SOCKET_NAME, longest)

    def test_out_of_reach(self) -> None:
        """A user that cannot reach the state directory keeps the abstract socket, and the operator is told."""
        account = Account(user="h", group="h", uid=7, gid=8, chroot="/c", ours=False, reaches=False)
        options = {**SHARED, "group_https_by_vhost": True, "account": account}
        rendered = renderer(**options).render([PLAIN, OWN])
        self.assertEqual(4, rendered.config.template.count("abns@marathon_https_"))
        (problem,) = rendered.problems
        self.assertEqual(("HAPROXY_HEAD", False), (problem.label, problem.fatal))
        self.assertIn("every local user can connect", str(problem))
        self.assertEqual((), renderer(**{**options, "group_https_by_vhost": False}).render([PLAIN]).problems)
