"""Who may do what, and what is hidden from whom."""

from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from marathonlb.masking import masked
from marathonlb.web.access import UNKNOWN, Access, client_of, foreign


class Clients(SynchronousTestCase):
    """Addresses and networks."""

    def test_networks(self) -> None:
        """An address is let in where it lies in one of the networks, in whatever form it comes."""
        access = Access(("127.0.0.0/8", "10.1.0.0/16", "::1/128", "fd00::/8"))
        for client in (
            "127.0.0.1",
            "127.9.9.9",
            "10.1.255.255",
            "::1",
            "fd00::5",
            "::ffff:10.1.2.3",
            "fd00::1%eth0",
        ):
            self.assertTrue(access.allows(client), client)
        for client in (
            "10.2.0.1",
            "::2",
            "8.8.8.8",
            "::ffff:8.8.8.8",
            "",
            "localhost",
            UNKNOWN,
            "127.0.0.1 ",
        ):
            self.assertFalse(access.allows(client), client)

    def test_nobody(self) -> None:
        """Without networks nobody is."""
        self.assertFalse(Access(()).allows("127.0.0.1"))

    def test_addresses(self) -> None:
        """Only a TCP address is one: HAProxy itself, and whoever sends no address, has none."""
        self.assertEqual(client_of(IPv4Address("TCP", "10.0.0.1", 5)), "10.0.0.1")
        self.assertEqual(client_of(IPv6Address("TCP", "::1", 5)), "::1")
        self.assertEqual(client_of(UNIXAddress(b"/x")), UNKNOWN)
        self.assertEqual(client_of(None), UNKNOWN)


def headers(**given: str) -> Headers:
    """Headers, whose names are written with ``_``."""
    return Headers({name.replace("_", "-"): [text] for name, text in given.items()})


class Origins(SynchronousTestCase):
    """Pages of other sites."""

    def ours(self, method: str = "POST", **given: str) -> bool:
        """Whether a request with these headers is ours or a program's."""
        return not foreign(headers(**given), method)

    def test_programs(self) -> None:
        """A program names no page, and is let through."""
        for method in ("GET", "POST"):
            self.assertTrue(self.ours(method, Host="lb:9090"))

    def test_own(self) -> None:
        """Our own pages are, in any case of letters."""
        for method in ("GET", "POST"):
            self.assertTrue(self.ours(method, Host="LB:9090", Origin="http://lb:9090"))
            self.assertTrue(self.ours(method, Host="lb:9090", Sec_Fetch_Site="none", Accept_Language="en"))
            self.assertTrue(self.ours(method, Host="lb:9090", Sec_Fetch_Site="same-origin"))

    def test_others(self) -> None:
        """Others are not, nor those that hide who they are."""
        for origin in (
            "http://lb:9091",
            "http://lb",
            "null",
            "",
            "http://lb:9090.evil",
            "http://[",
            "lb:9090",
        ):
            self.assertFalse(self.ours(Host="lb:9090", Origin=origin), origin)
        self.assertFalse(self.ours(Origin="http://lb:9090"))
        self.assertFalse(self.ours(Host="lb", Sec_Fetch_Site="cross-site"))

    def test_image(self) -> None:
        """An image on a page of another site is not: a browser asks for it without a word about whose page that is."""
        self.assertFalse(self.ours("GET", Host="10.0.0.5:9090", Accept_Language="de", Accept="image/png"))


class Names(SynchronousTestCase):
    """What a browser calls us."""

    def test_own(self) -> None:
        """Nobody else can have an address, a name without a dot, or a private one lead here."""
        for host in (
            *("10.0.0.5:9090", "10.0.0.5", "[::1]:9090", "[fd00::5]", "localhost:9090", "lb1", "LB1:9090"),
            *("marathon-lb.marathon.mesos:9090", "lb.internal", "lb.local.", "x.LOCALHOST"),
        ):
            self.assertTrue(Access(()).is_own_name(host), host)
        for host in (
            *("evil.example:9090", "10.0.0.5.evil.example", "mesos.evil.example", "", ":9090", "["),
            *(".", "evil.example."),
        ):
            self.assertFalse(Access(()).is_own_name(host), host)

    def test_domain(self) -> None:
        """Names of this host's domain are its own; a domain of one word is nobody's."""
        access = Access((), "lb1.dc.example.com")
        for host in ("lb1.dc.example.com:9090", "lb.DC.example.com", "a.b.dc.example.com", "dc.example.com"):
            self.assertTrue(access.is_own_name(host), host)
        for host in ("lb.example.com", "evildc.example.com", "evil.example"):
            self.assertFalse(access.is_own_name(host), host)
        short = Access((), "lb.example")
        self.assertEqual([short.is_own_name(host) for host in ("lb.example", "evil.example")], [True, False])

    def test_misnamed(self) -> None:
        """A browser that calls us by another name may be at anybody's site, unless https has proven that name."""
        host = "evil.example:9090"
        misnamed = Access(()).misnamed
        self.assertIn(host, misnamed(headers(Host=host, Accept_Language="en")))
        self.assertIn(host, misnamed(headers(Host=host, Origin=f"http://{host}")))
        self.assertTrue(misnamed(headers(Accept_Language="en")))
        self.assertEqual(misnamed(headers(Host=host, Origin=f"https://{host}")), "")
        self.assertEqual(misnamed(headers(Host=host, Accept_Language="en", Sec_Fetch_Site="same-origin")), "")
        self.assertEqual(misnamed(headers(Host="10.0.0.5:9090", Accept_Language="en")), "")
        self.assertEqual(misnamed(headers(Host=host)), "", "a program")
        self.assertEqual(
            misnamed(headers(Host=host, Accept_Language="*")), "", "a program that fetches as browsers do"
        )


HIDDEN = (
    ("  user joe password $1$a$b", "  user joe password ***"),
    ("\tuser joe insecure-password secret groups g", "\tuser joe insecure-password *** groups g"),
    ("user joe groups a,b password x", "user joe groups a,b password ***"),
    ('  user "joe b" password "a b"c\\ d # x', '  user "joe b" password *** # x'),
    ("  user password password password", "  user password password ***"),
    ("  stats auth admin:se:cret", "  stats auth admin:***"),
)

SHOWN = (
    "  http-request auth realm password",
    "# a user may have a password of his own",
    "  user haproxy",
    "  server user password",
)


class Masks(SynchronousTestCase):
    """What is hidden of a configuration."""

    def test_hidden(self) -> None:
        """Passwords and hashes are, wherever they stand in their line, and nothing else is."""
        for line, expected in HIDDEN:
            self.assertEqual(masked(line), expected)
        text = "".join(f"{line}\n" for line, _ in HIDDEN)
        self.assertEqual(masked(text), "".join(f"{line}\n" for _, line in HIDDEN))

    def test_shown(self) -> None:
        """Lines that only look like it stay."""
        for line in SHOWN:
            self.assertEqual(masked(line), line)
