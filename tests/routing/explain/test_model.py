"""Explanations as data and as text."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.explain.model import Explanation, render
from tests.routing.explain.clusters import SHOPS, Cluster


class ShapeTests(SynchronousTestCase):
    """The answer as data and as text."""

    def test_data(self) -> None:
        """Every explanation survives JSON, as the API sends it."""
        cluster = Cluster(SHOPS)
        for what in ("http://shop.example.com/cart", "http://nobody/", "/shop/web", "/none", "10001", "9090"):
            explanation = cluster.explain(what)
            text = msgspec.json.encode(explanation)
            self.assertEqual(explanation, msgspec.json.decode(text, type=Explanation), what)

    def test_text(self) -> None:
        """People read the verdict first, then what it rests on."""
        said = render(Cluster(SHOPS).explain("shop.example.com/cart"))
        self.assertEqual(
            """\
http://shop.example.com/cart: the entry shop.example.com/cart of path2backend.map catches it and leads to \
/shop/cart port 0
  rule    path2backend.map: shop.example.com/cart → shop_cart_10002 (/shop/cart port 0)
  before  domain2backend.map: shop.example.com → shop_web_10001 (/shop/web port 0): the longer path goes first
  before  wildcard2backend.map: .example.com → all_10003 (/all port 0): an exact name goes before a wildcard
  service /shop/cart port 0: listens on *:10002
  backend shop_cart_10002, mode http, balance roundrobin
  server  10_0_0_2_31000 at 10.0.0.2:31000, unknown
""",
            said,
        )
