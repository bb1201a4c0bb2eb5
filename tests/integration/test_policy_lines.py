"""
What a team's template labels may do to others on a real HAProxy, and that a policy of harmless lines keeps it from it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from marathonlb.config.templates.table import PER_APP_NAMES
from marathonlb.marathon.model import HealthCheck
from marathonlb.routing.policy.file import policy_of
from marathonlb.routing.policy.prefixes import Policy
from marathonlb.routing.services.build import services_of
from marathonlb.routing.services.model import Service
from tests.integration.haproxies import on_each
from tests.integration.worlds import World, ask
from tests.routing.lines.test_allowed import HARMLESS

LINES = policy_of('[defaults]\ntemplates = "lines"\n', PER_APP_NAMES)


class PolicyWorld(World):
    """A world whose apps offer what a policy allows."""

    policy = Policy()

    def services(self) -> list[Service]:
        """The services of the apps that the policy allows."""
        found = [
            self.policy.applied(app, services_of(app, self.settings, PER_APP_NAMES, lambda host: host))
            for app in self.apps
        ]
        self.problems = tuple(problem for each in found for problem in each.problems)
        return [service for each in found for service in each.services]


class LinesMixin:
    """An attacker's labels without a policy and with one; a class for each HAProxy names the binary."""

    binary = ""
    assertEqual: Any
    assertIn: Any
    assertNotIn: Any
    addCleanup: Any

    def world(self, policy: Policy, labels: dict[str, str], **more: Any) -> PolicyWorld:
        """A world with an innocent app and the attacker's, which serves."""
        world = PolicyWorld(self.binary)
        world.policy = policy
        self.addCleanup(world.end)
        world.app("bank", {"0_VHOST": "bank.test"})
        world.app("evil", {"0_VHOST": "evil.test", **labels}, **more)
        world.start()
        return world

    def attacked(self, labels: dict[str, str]) -> tuple[PolicyWorld, PolicyWorld]:
        """The worlds without a policy, and with the one that leaves the attacker out."""
        free, bound = self.world(Policy(), labels), self.world(LINES, labels)
        self.assertEqual([], [problem for problem in free.problems if problem.fatal])
        self.assertEqual([f"HAPROXY_{label}" for label in labels], [each.label for each in bound.problems])
        self.assertEqual("bank", ask(bound.http, "bank.test").who)
        self.assertEqual(503, ask(bound.http, "evil.test").status)
        return free, bound

    def test_file(self) -> None:
        """No file of the load balancer's machine is read."""
        line = "  http-request return status 200 content-type text/plain file /etc/hostname\n"
        free, _ = self.attacked({"0_BACKEND_HTTP_OPTIONS": line})
        self.assertEqual(Path("/etc/hostname").read_bytes(), ask(free.http, "evil.test").body)

    def test_environment(self) -> None:
        """No variable of the load balancer's environment is read, however the line is written."""
        for value in ("%[env(PATH)]", "\\x25[env(PATH)]", '%"[env(PATH)]"'):
            line = f"  http-response set-header X-Path {value}\n"
            free, _ = self.attacked({"0_BACKEND_HTTP_OPTIONS": line})
            self.assertIn("/bin", ask(free.http, "evil.test").headers["x-path"], value)

    def test_environment_by_variables(self) -> None:
        """Nor by a template's variable that says nothing, or that is none in this text."""
        for label, name in (("0_BACKEND_EXTRA", "healthCheckPort"), ("0_BACKEND_HTTP_OPTIONS", "mode")):
            line = f"  http-response set-header X-Path %{{{name}}}[env(PATH)]\n"
            free, _ = self.attacked({label: line})
            self.assertIn("/bin", ask(free.http, "evil.test").headers["x-path"], name)

    def test_file_by_variables(self) -> None:
        """No request tells what a file of the machine holds."""
        first = Path("/etc/passwd").read_text().split("\n")[0].replace(" ", "\\ ")
        line = f"  http-response set-header X-Known yes if {{{{ str({first}) {{healthCheckPort}}-f /etc/passwd }}}}\n"
        free, _ = self.attacked({"0_BACKEND_EXTRA": line})
        self.assertEqual("yes", ask(free.http, "evil.test").headers["x-known"])

    def test_split_response(self) -> None:
        """No header holds a second answer, which somebody else's request on a shared connection would get."""
        line = "  http-response set-header X-A a\\r\\nX-B:\\ b\n"
        free, _ = self.attacked({"0_BACKEND_EXTRA": line})
        self.assertEqual("b", ask(free.http, "evil.test").headers["x-b"])

    def test_effort(self) -> None:
        """No request keeps HAProxy busy for long by what its service's lines search for."""
        searched = "  http-request set-header X-B b if {{ hdr(x) -m sub -i " + "aaaaaaaaaab " * 40 + "}}\n"
        listed = "".join(f"  http-request deny if {{{{ hdr(x) a{number} }}}}\n" for number in range(200))
        for text in (searched * 20, listed):
            self.attacked({"0_BACKEND_EXTRA": text})

    def test_map(self) -> None:
        """No request to the attacker's host changes where another host leads."""
        line = "  http-request set-map({haproxy_dir}/path2backend.map) bank.test/ {backend}\n"
        free, bound = self.attacked({"0_BACKEND_EXTRA": line})
        for world, who in ((free, "evil"), (bound, "bank")):
            self.assertEqual("bank", ask(world.http, "bank.test").who)
            ask(world.http, "evil.test")
            self.assertEqual(who, ask(world.http, "bank.test").who)

    def test_socket(self) -> None:
        """No request reaches a socket of the machine."""
        world = PolicyWorld(self.binary)
        self.addCleanup(world.end)
        line = "  server {serverName} unix@/var/run/other.sock send-proxy-v2\n"
        world.app("evil", {"0_VHOST": "evil.test", "0_BACKEND_SERVER_OPTIONS": line})
        world.policy = LINES
        world.start()
        self.assertEqual(["HAPROXY_0_BACKEND_SERVER_OPTIONS"], [each.label for each in world.problems])
        self.assertNotIn("other.sock", (world.directory / "haproxy.cfg").read_text())

    def test_harmless(self) -> None:
        """What the policy calls harmless is accepted by HAProxy, and serves."""
        for number, (label, text) in enumerate(HARMLESS):
            if label == "BIND_OPTIONS" or not text:
                continue  # it needs a certificate, or switches off what is asked here
            world = PolicyWorld(self.binary)
            world.policy = LINES
            labels = {"0_VHOST": "fine.test", f"0_{label}": text}
            labels |= {"0_STICKY": "true"} if "STICKY" in label else {}
            labels |= {"0_USE_HSTS": "true"} if "HSTS" in label else {}
            world.app("fine", labels, health_checks=(HealthCheck(path="/up"),))
            rendered = world.render()
            fatal = [problem for problem in world.problems if problem.fatal]
            self.assertEqual(([], ""), (fatal, refused(world.check())), (number, text))
            self.assertEqual(1, len(rendered.services))
            world.end()


def refused(said: str) -> str:
    """Return HAProxy's errors without its warnings."""
    return "\n".join(line for line in said.split("\n") if line.startswith("[ALERT]"))


on_each(LinesMixin, globals())
