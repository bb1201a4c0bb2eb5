"""Questions: URLs, app ids and ports."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from marathonlb.routing.explain.question import AppQuestion, PortQuestion, UrlQuestion, question_of


class QuestionTests(SynchronousTestCase):
    """What can be asked."""

    def test_understood(self) -> None:
        """A URL, an app id and a port are told apart by their looks."""
        for text, expected in (
            ("10100", PortQuestion(10100)),
            (":10100", PortQuestion(10100)),
            ("/shop/web", AppQuestion("/shop/web")),
            ("/shop/web/", AppQuestion("/shop/web")),
            ("/shop.v2", AppQuestion("/shop.v2")),
            ("web", AppQuestion("/web")),
            ("https://Shop.Example.com/Cart?x=1#y", UrlQuestion("https", "shop.example.com", None, "/Cart")),
            ("http://shop.example.com:8080", UrlQuestion("http", "shop.example.com", 8080, "/")),
            ("shop.example.com/cart", UrlQuestion("http", "shop.example.com", None, "/cart")),
            ("localhost:8080", UrlQuestion("http", "localhost", 8080, "/")),
            ("http://bücher.example/", UrlQuestion("http", "xn--bcher-kva.example", None, "/")),
            ("http://[::1]:80/x", UrlQuestion("http", "[::1]", 80, "/x")),
            ("http://Shop.example.com./a", UrlQuestion("http", "shop.example.com", None, "/a")),
            ("http://me:secret@shop.example.com/", UrlQuestion("http", "shop.example.com", None, "/")),
            ("http://a.test,b.test/", UrlQuestion("http", "a.test,b.test", None, "/")),
            ("http://a..test", UrlQuestion("http", "a..test", None, "/")),
            ("http://a.test/\u00fc%20", UrlQuestion("http", "a.test", None, "/%C3%BC%20")),
        ):
            self.assertEqual(expected, question_of(text), text)
            self.assertEqual(expected, question_of(str(expected).removeprefix("port ")))

    def test_refused(self) -> None:
        """Anything else is none of these."""
        for text in (
            "",
            " ",
            "0",
            "70000",
            "ftp://x/",
            "http://",
            "http:///x",
            "http://a b/",
            "http://*.x.com/",
        ):
            self.assertRaises(ValueError, question_of, text)
        for text in ("a b", "http://x:y/", "\n/x"):
            self.assertRaises(ValueError, question_of, text)
