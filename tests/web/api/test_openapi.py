"""The documented API against what is answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import jsonschema

from marathonlb.haproxy.files.publish import Published
from marathonlb.web.api.openapi import openapi
from marathonlb.web.router import LIMIT
from marathonlb.web.routes import documented
from tests.fakes.haproxy import NONSENSE
from tests.paths import CHECKOUT
from tests.reconciling import web
from tests.web.contexts import STAT, PagesTestCase

DOCUMENT = json.loads((CHECKOUT / "docs" / "openapi.json").read_text(encoding="utf-8"))

PATHS = (
    "/api/status",
    "/api/services",
    "/api/services/shop_10000",
    "/api/problems",
    "/api/timeline",
    "/api/configurations",
    "/api/configurations/1",
    "/api/configurations/running",
    "/api/difference?from=1",
    "/api/explain?q=http://shop.example.com/",
    "/api/explain?q=/shop",
    "/api/explain?q=12345",
    "/api/health/live",
    "/api/health/ready",
)


def strict(schema: Any) -> Any:
    """The schema, where an object may have no field that is not documented."""
    if isinstance(schema, Mapping):
        found = {key: strict(value) for key, value in schema.items()}
        if "properties" in found:
            found["additionalProperties"] = False
        return found
    return [strict(each) for each in schema] if isinstance(schema, list) else schema


ODD = (
    *PATHS,
    *(
        "/api/services/x",
        "/api/configurations/99",
        "/api/difference",
        "/api/difference?from=99",
        "/api/explain",
    ),
    *("/api/difference?from=1&to=x", "/api/explain?q=a+b", "/api/timeline?after=x", "/api/openapi.json"),
    *("/_haproxy_getconfig", "/_haproxy_getvhostmap", "/_haproxy_getappmap", "/_haproxy_getpids"),
    *("/_mlb_signal/hup", "/_mlb_signal/usr1", "/api/pin", "/api/unpin", "/api/what-if", "/metrics"),
)
"""Besides `PATHS` what is asked wrongly, and what gives no JSON."""


class Statuses(PagesTestCase):
    """Every status that is answered is documented, whatever is wrong."""

    def check(self) -> set[int]:
        """Ask everything in every way, and hold the statuses against the document."""
        found = set()
        for path in ODD:
            bare = path.partition("?")[0]
            (operations,) = (
                DOCUMENT["paths"][route.path] for route in documented() if route.arguments(bare) is not None
            )
            for method, operation in operations.items():
                for headers in ({}, {"Content-Type": "application/json"}, {"Origin": "http://evil.example"}):
                    for body in (b"", b"{}", b'{"name": "99"}', b"x" * (LIMIT + 1)):
                        if method == "get" and body:
                            continue
                        status, text, _ = self.ask(method.upper(), path, body, headers)
                        self.assertIn(str(status), operation["responses"], (method, path, headers, text))
                        found.add(status)
        return found

    def test_nothing(self) -> None:
        """Where nothing is known, nothing runs and HAProxy does not answer."""
        self.applier.unavailable = True
        self.haproxy.answers.clear()
        self.assertEqual(self.check(), {200, 400, 403, 404, 413, 415, 503})

    def test_running(self) -> None:
        """Where all is well."""
        self.archive.add(Published("global\n"), reason="first", seconds=0)
        self.serve(web("shop", tasks=2))
        self.assertEqual(self.check(), {200, 400, 403, 404, 413, 415})

    def test_strangers(self) -> None:
        """And for clients outside --admin-allow."""
        self.client = "10.0.0.1"
        self.serve(web("shop", tasks=2))
        self.assertIn(403, self.check())


class Documented(PagesTestCase):
    """Every answer has the form that the document gives it."""

    def setUp(self) -> None:
        super().setUp()
        self.archive.add(Published("global\n"), reason="first", seconds=0)
        broken = web("broken", 10002, HAPROXY_0_BACKEND_HEAD=f"backend {{backend}}\n  {NONSENSE}\n")
        self.serve(web("shop", tasks=2, HAPROXY_0_VHOSTS="x"), broken)
        row = "1,2,3,0,5,6,UP,1,1,0,0,0,0,0,9,2,127.0.0.1:41000\n"
        self.haproxy.answers["show stat -1 2 -1"] = f"{STAT}\nshop_10000,BACKEND,{row}"
        self.haproxy.answers["show stat shop_10000 6 -1"] = (
            f"{STAT}\nshop_10000,127_0_0_1_41000,{row}shop_10000,other,{row}shop_10000,BACKEND,{row}"
        )

    def schema(self, path: str, method: str = "get", status: str = "200") -> dict[str, Any]:
        """The schema of an answer."""
        for route, operations in DOCUMENT["paths"].items():
            parts, asked = route.split("/"), path.partition("?")[0].split("/")
            if len(parts) == len(asked) and all(
                p in (a, p[:1] == "{" and p) for p, a in zip(parts, asked, strict=True)
            ):
                content = operations[method]["responses"][status]["content"]
                return {**content["application/json"]["schema"], "components": DOCUMENT["components"]}
        raise AssertionError(f"{path} is not documented")

    def check(self, path: str, value: Any, method: str = "get", status: int = 200) -> None:
        """Hold an answer against the document."""
        schema = strict(self.schema(path, method, str(status)))
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(value, schema, cls=jsonschema.Draft202012Validator)

    def test_answers(self) -> None:
        """Each page's answer has every documented field and no other."""
        for path in PATHS:
            self.check(path, self.get(path))

    def test_what_if(self) -> None:
        """So has what is posted."""
        app = {"id": "/a", "portDefinitions": [{"port": 10000}], "labels": {"HAPROXY_0_MODE": "x"}}
        self.check("/api/what-if", self.post("/api/what-if", app), "post")

    def test_errors(self) -> None:
        """And every error, with a status that is documented."""
        for path, status in (
            ("/api/services/x", 404),
            ("/api/configurations/99", 404),
            ("/api/difference", 400),
            ("/api/explain", 400),
        ):
            self.check(path, self.get(path, status), status=status)
        self.check("/api/what-if", self.post("/api/what-if", b"[", 400), "post", 400)
        self.applier.confirmed = False
        self.check("/api/health/ready", self.get("/api/health/ready", 503), status=503)

    def test_notices(self) -> None:
        """An undocumented field, and one of another type, would be noticed."""
        said = self.get("/api/health/live")
        for wrong in ({**said, "more": 1}, {**said, "ok": "yes"}, {"reasons": []}):
            self.assertRaises(jsonschema.ValidationError, self.check, "/api/health/live", wrong)

    def test_every_page(self) -> None:
        """Every page of JSON is held against the document here, and every path is in it."""
        tried = {path.partition("?")[0] for path in PATHS} | {
            "/api/what-if",
            "/api/pin",
            "/api/unpin",
            "/api/events",
            "/api/openapi.json",
        }
        for route in documented():
            self.assertIn(route.path, DOCUMENT["paths"])
            if route.path.startswith("/api/"):
                self.assertTrue(any(route.arguments(path) is not None for path in tried), route.path)

    def test_itself(self) -> None:
        """The controller gives the document as it stands in docs/, and docs/ has the newest."""
        self.assertEqual(self.get("/api/openapi.json"), DOCUMENT)
        self.assertEqual(json.loads(json.dumps(openapi(documented()))), DOCUMENT)
