"""Explain and what-if as data."""

from __future__ import annotations

from tests.fakes.haproxy import NONSENSE
from tests.reconciling import web
from tests.web.contexts import PagesTestCase


class ExplainTests(PagesTestCase):
    """``/api/explain`` and ``/api/what-if``."""

    def test_explain(self) -> None:
        """A URL is explained as the script explains it."""
        self.serve(web("shop"))
        said = self.get("/api/explain?q=http://shop.example.com/x")
        self.assertTrue(said["served"])
        self.assertEqual(said["rule"]["backend"], "shop_10000")

    def test_no_question(self) -> None:
        """What is no question is 400."""
        self.serve(web("shop"))
        self.assertIn("a URL", self.get("/api/explain?q=a%20b", 400)["error"])
        self.get("/api/explain", 400)

    def definition(self, name: str, **labels: str) -> dict[str, object]:
        """An app as its owner writes it."""
        return {"id": f"/{name}", "portDefinitions": [{"port": 10000}], "labels": labels, "instances": 2}

    def test_what_if(self) -> None:
        """A definition is answered with what would differ, and nothing is done."""
        self.serve(web("shop"))
        before, applied = self.reconciler.planned, len(self.applier.wanted)
        said = self.post("/api/what-if", self.definition("cart", HAPROXY_0_PORT="10001"))
        self.assertEqual((said["app_id"], said["exists"], said["services"]), ("/cart", False, ["cart_10001"]))
        self.assertIn("backend cart_10001 is new", said["reload"])
        self.assertIn("cart_10001", [each["name"] for each in said["difference"]["sections"]])
        self.assertEqual((said["new_problems"], said["refused"], said["unchecked"]), ([], [], ""))
        self.assertIs(self.reconciler.planned, before)
        self.assertEqual(len(self.applier.wanted), applied)
        self.serve(web("shop"))
        self.assertEqual(self.applier.served(), {"shop_10000"})

    def test_collision(self) -> None:
        """A port that an older app has is told as a collision of the new one."""
        self.serve(web("shop"))
        said = self.post("/api/what-if", self.definition("cart"))
        self.assertEqual([(p["app_id"], p["kind"]) for p in said["new_problems"]], [("/cart", "collision")])

    def test_refused_by_haproxy(self) -> None:
        """HAProxy's words are told where it would refuse the text; that app goes on as it is."""
        self.serve(web("shop"))
        labels = {"HAPROXY_0_BACKEND_HEAD": f"backend {{backend}}\n  {NONSENSE}\n"}
        said = self.post("/api/what-if", self.definition("shop", **labels))
        self.assertTrue(said["exists"])
        self.assertEqual(said["servers"], 1)
        self.assertIn(NONSENSE, said["refused"][0])
        unasked = self.post("/api/what-if?check=no", self.definition("shop", **labels))
        self.assertEqual((unasked["refused"], unasked["unchecked"]), ([], "check=no"))

    def test_bad_definitions(self) -> None:
        """What is no definition is 400, with what is wrong."""
        self.serve(web("shop"))
        for body in (b"{", b"[]", b"{}", b'{"id": 1}', b'{"id": "a b"}', b'"x"', b"1}", b'{"id":"/a"},"x":{'):
            self.post("/api/what-if", body, 400)

    def test_content_type(self) -> None:
        """Only JSON is taken, which a form of another site cannot send."""
        self.serve(web("shop"))
        self.post("/api/what-if", {}, 415, Content_Type="text/plain")

    def test_strangers(self) -> None:
        """It is for admins."""
        self.serve(web("shop"))
        self.client = "10.0.0.1"
        self.post("/api/what-if", self.definition("cart"), 403)
