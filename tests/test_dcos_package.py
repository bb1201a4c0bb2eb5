"""The package for DC/OS, rendered as a cluster does it, with several options files."""

from __future__ import annotations

import json
from typing import Any

import pystache
from jsonschema import Draft4Validator
from twisted.trial.unittest import SynchronousTestCase

from marathonlb import FALLBACK
from marathonlb.image.start import Start, start_from
from marathonlb.options import Machine, settings_from
from marathonlb.tap import Options
from minimarathon.definitions.parsing import parse
from tests.paths import CHECKOUT, data

PACKAGE = CHECKOUT / "packaging" / "dcos"
MACHINE = Machine(host_name=lambda: "lb.test", which=lambda program, path: None, bundled_haproxy=lambda: None)
PEM = '-----BEGIN CERTIFICATE-----\nMII"\n-----END CERTIFICATE-----\n'

OPTION_FILES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "an internal one": {
        "name": "infra/marathon-lb-internal",
        "role": "*",
        "instances": 3,
        "haproxy-group": "internal,shared",
        "bind-http-https": False,
        "haproxy-map": False,
        "cpus": 0.5,
    },
    "a strict cluster": {
        "secret_name": "marathon-lb/account",
        "admin-token-secret": "marathon-lb/admin",
        "marathon-uri": "https://marathon.mesos:8443",
        "marathon-ca-cert": "/mnt/mesos/sandbox/.ssl/ca-bundle.crt",
        "strict-mode": True,
        "health-check": True,
    },
    "a token alone": {"admin-token-secret": "marathon-lb/admin"},
    "everything else": {
        "ssl-cert": PEM,
        "template-url": "https://example.com/templates.tgz?a=1&b=2",
        "policy": "templates/policy.toml",
        "container-syslogd": True,
        "sysctl-params": "net.core.somaxconn=1024 net.ipv4.tcp_fin_timeout=30",
        "haproxy_global_default_options": "redispatch",
        "group-https-by-vhost": True,
        "log-format": "json",
        "log-level": "debug",
        "max-shrink": 100,
        "drain-seconds": 300,
        "kill-grace-seconds": 310,
        "minimumHealthCapacity": 1,
        "maximumOverCapacity": 1,
    },
}


def document(name: str) -> Any:
    """Return the content of a JSON file of the package."""
    return json.loads((PACKAGE / name).read_text(encoding="utf-8"))


def options(given: dict[str, Any]) -> dict[str, Any]:
    """Return an options file with the defaults, completed as by the cluster."""
    known = document("config.json")["properties"]["marathon-lb"]["properties"]
    return {"marathon-lb": {**{name: one["default"] for name, one in known.items()}, **given}}


def rendered(given: dict[str, Any]) -> dict[str, Any]:
    """Return the app that the cluster posts to Marathon. Its mustache escapes for JSON, not for HTML."""
    renderer = pystache.Renderer(escape=lambda text: json.dumps(text)[1:-1], missing_tags="strict")
    template = (PACKAGE / "marathon.json.mustache").read_text(encoding="utf-8")
    app = json.loads(renderer.render(template, {**options(given), "resource": document("resource.json")}))
    assert isinstance(app, dict)
    return app


def entered(app: dict[str, Any]) -> Start:
    """Return the command line of the image's entrypoint for the app, with the cluster's secrets."""
    environ = {name: value if isinstance(value, str) else "{}" for name, value in app["env"].items()}
    return start_from(app["args"], environ, machine=MACHINE)


def understood(start: Start) -> Any:
    """Return the controller's settings for that command line."""
    line = Options(start.environ)
    line.parseOptions(start.arguments)
    return settings_from(line.given, start.environ, machine=MACHINE)


class ConfigTests(SynchronousTestCase):
    """config.json and its siblings."""

    def test_schema(self) -> None:
        """The schema is one, every option has a description and a default, and the defaults fit it."""
        schema = document("config.json")
        Draft4Validator.check_schema(schema)
        for name, one in schema["properties"]["marathon-lb"]["properties"].items():
            self.assertIn("default", one, name)
            self.assertTrue(one["description"].endswith("."), name)
        for given in OPTION_FILES.values():
            self.assertEqual([], list(Draft4Validator(schema).iter_errors(options(given))))

    def test_refused(self) -> None:
        """What no option may be is refused before anything is started."""
        validator = Draft4Validator(document("config.json"))
        for given in (
            {"nonsense": 1},
            {"name": "Marathon_LB"},
            {"instances": 1.5},
            {"strict-mode": "yes"},
            {"log-level": "loud"},
            {"haproxy-group": ""},
            {"max-shrink": 101},
        ):
            self.assertTrue(list(validator.iter_errors(options(given))), given)

    def test_tried(self) -> None:
        """Every option is tried by one of the option files here."""
        known = set(document("config.json")["properties"]["marathon-lb"]["properties"])
        tried = {name for given in OPTION_FILES.values() for name in given}
        self.assertEqual({"mem", "admin-allow"}, known - tried)

    def test_version(self) -> None:
        """The package and its image have the version that is to be released."""
        version = FALLBACK.partition(".dev")[0]
        self.assertEqual(version, document("package.json")["version"])
        image = document("resource.json")["assets"]["container"]["docker"]["marathon-lb"]
        self.assertEqual(version, image.rpartition(":")[2])


class AppTests(SynchronousTestCase):
    """marathon.json.mustache."""

    schema = data("schema", "app-definition.json")

    def test_marathon_schema(self) -> None:
        """Every option file gives an app that Marathon's schema allows."""
        schema = json.loads(self.schema.read_text(encoding="utf-8"))
        Draft4Validator.check_schema(schema)
        validator = Draft4Validator(schema)
        for given in OPTION_FILES.values():
            self.assertEqual([], [error.message for error in validator.iter_errors(rendered(given))])

    def test_minimarathon(self) -> None:
        """Every option file gives an app that the small Marathon takes, with the check on the stats port."""
        for given in OPTION_FILES.values():
            app = parse(rendered(given))
            (check,) = app.health_checks
            self.assertEqual(9090, app.ports[check.port_index or 0].service_port)

    def test_entered(self) -> None:
        """The image understands the arguments and variables of every option file."""
        for name, given in OPTION_FILES.items():
            start = entered(rendered(given))
            settings = understood(start)
            wanted = options(given)["marathon-lb"]
            self.assertEqual("sse", settings.mode, name)
            self.assertEqual((wanted["marathon-uri"],), settings.marathon)
            self.assertEqual(set(wanted["haproxy-group"].split(",")), settings.groups)
            self.assertEqual(not wanted["bind-http-https"], settings.dont_bind_http_https)
            for option in (
                "strict-mode",
                "health-check",
                "haproxy-map",
                "group-https-by-vhost",
                "log-format",
                "log-level",
            ):
                self.assertEqual(wanted[option], getattr(settings, option.replace("-", "_")), option)
            self.assertEqual(wanted["max-shrink"], settings.max_shrink)
            self.assertEqual(wanted["policy"] or None, settings.policy)
            self.assertEqual(wanted["drain-seconds"], start.drain)
            self.assertEqual(wanted["template-url"] or None, start.template_url)
            self.assertEqual(wanted["container-syslogd"], bool(settings.access_log))
            self.assertEqual(tuple(wanted["admin-allow"].split(",")), settings.admin_allow)
            self.assertEqual("{}" if wanted["admin-token-secret"] else None, settings.admin_token)

    def test_default(self) -> None:
        """Without options there are no secrets, no privileges and no certificate, and ports 80 and 443 are taken."""
        app = rendered({})
        self.assertNotIn("secrets", app)
        self.assertNotIn("privileged", app["container"]["docker"])
        self.assertEqual({"HAPROXY_GLOBAL_DEFAULT_OPTIONS", "MARATHON_LB_DRAIN_SECONDS"}, set(app["env"]))
        self.assertEqual([9090, 80, 443, 9091], [one["port"] for one in app["portDefinitions"]])
        known = options({})["marathon-lb"]
        self.assertGreaterEqual(known["kill-grace-seconds"], known["drain-seconds"] + 5)

    def test_options(self) -> None:
        """Ports, roles, secrets, certificates and privileges follow their options."""
        app = rendered(OPTION_FILES["an internal one"])
        self.assertEqual([9090, 9091], [one["port"] for one in app["portDefinitions"]])
        self.assertEqual((["*"], 3), (app["acceptedResourceRoles"], app["instances"]))
        app = rendered(OPTION_FILES["a strict cluster"])
        secrets = {"serviceCredential": "marathon-lb/account", "adminToken": "marathon-lb/admin"}
        self.assertEqual({name: {"source": source} for name, source in secrets.items()}, app["secrets"])
        self.assertEqual({"secret": "adminToken"}, app["env"]["HAPROXY_ADMIN_TOKEN"])
        self.assertEqual({"secret": "serviceCredential"}, app["env"]["DCOS_SERVICE_ACCOUNT_CREDENTIAL"])
        app = rendered(OPTION_FILES["a token alone"])
        self.assertEqual({"adminToken": {"source": "marathon-lb/admin"}}, app["secrets"])
        app = rendered(OPTION_FILES["everything else"])
        self.assertEqual(PEM, app["env"]["HAPROXY_SSL_CERT"])
        self.assertEqual(PEM, entered(app).certificates[0].text)
        self.assertTrue(app["container"]["docker"]["privileged"])
        self.assertEqual(310, app["taskKillGracePeriodSeconds"])
