"""Who may do what, and what is hidden from whom."""

from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from marathonlb.base.redaction import masked
from marathonlb.web.access import UNKNOWN, Access, Permissions, client_of
from marathonlb.web.page import Refusal
from marathonlb.web.tokens import FAILURES, FORGIVEN_AFTER, AdminToken, FailedTokens

NETWORKS, CLIENT = ("10.0.0.0/8",), "10.1.2.3"
TOKEN = "0123456789abcdef0123456789abcdef"


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


OWN = "lb:9090"

PROGRAMS: tuple[dict[str, str], ...] = (
    {},
    {"User_Agent": "curl/8.5.0", "Accept": "*/*"},
    {"User_Agent": "python-requests/2.31", "Accept_Encoding": "gzip, deflate", "Connection": "keep-alive"},
    {"User_Agent": "Go-http-client/1.1", "Accept_Encoding": "gzip"},
    {"User_Agent": "Wget/1.21", "Accept_Encoding": "identity"},
)

FOREIGN: tuple[dict[str, str], ...] = (
    *({"Sec_Fetch_Site": site, "Sec_Fetch_Mode": "no-cors"} for site in ("cross-site", "same-site", "new")),
    *({"Origin": origin} for origin in ("http://lb:9091", "http://lb", "null", "", "http://lb:9090.evil")),
    *({"Origin": origin} for origin in ("http://[", "lb:9090", "https://evil.example")),
    {"Sec_Fetch_Site": "same-origin", "Origin": "null"},
    {"Sec_Fetch_Site": "none", "Sec_Purpose": "prefetch"},
)
"""What tells of another site's page, or of nobody."""

SILENT: tuple[dict[str, str], ...] = (
    *({"Accept_Language": words} for words in ("de", "*", "")),
    {"Accept_Language": "*", "User_Agent": "curl/8.5.0"},
    {"Referer": "http://evil.example/"},
    {"Cookie": "a=b"},
    {"User_Agent": "Mozilla/5.0 (X11; Linux x86_64)"},
    {"Upgrade_Insecure_Requests": "1"},
    {"Sec_CH_UA": '"Chromium"'},
    {"Sec_Fetch_Mode": "cors"},
    {"Sec_WebSocket_Key": "x"},
    {"Purpose": "prefetch"},
    {"Ping_From": "http://evil.example/"},
)
"""What a browser sends with a request of which it does not say whose page it is."""


class Changes(SynchronousTestCase):
    """Who may change something from a network of ``--admin-allow``."""

    def may(self, method: str, host: str = OWN, **given: str) -> bool:
        """Whether a request with these headers may."""
        return not Access(NETWORKS).permissions(CLIENT, headers(Host=host, **given), method).refused

    def test_programs(self) -> None:
        """A program may, by any name."""
        for given in PROGRAMS:
            for method in ("GET", "POST"):
                self.assertTrue(self.may(method, "lb.example.com:9090", **given), given)

    def test_own(self) -> None:
        """Our own pages may, in any case of letters, and so may what somebody types into the browser."""
        self.assertTrue(self.may("POST", "LB:9090", Origin="http://lb:9090", Accept_Language="de"))
        for method in ("GET", "POST"):
            for site in ("none", "same-origin"):
                self.assertTrue(self.may(method, Sec_Fetch_Site=site, Accept_Language="en"))

    def test_foreign(self) -> None:
        """Pages of other sites may not, nor those that hide who they are, whatever else they say."""
        for given in FOREIGN:
            for more in ({}, {"Accept_Language": "*"}, {"User_Agent": "curl/8.5.0"}):
                for method in ("GET", "POST"):
                    self.assertFalse(self.may(method, **{**more, **given}), given)
        self.assertFalse(self.may("POST", "", Origin="http://lb:9090"))

    def test_silent(self) -> None:
        """Any sign of a browser that does not say whose page asks is enough to refuse."""
        for given in SILENT:
            for host in (OWN, "10.0.0.5:9090", "evil.example:9090"):
                for method in ("GET", "POST"):
                    self.assertFalse(self.may(method, host, **given), given)

    def test_rebound(self) -> None:
        """A page whose name leads here is no page of ours, though its origin is the host."""
        for host in ("evil.example:9090", "evil.marathon.mesos:9090"):
            for given in SILENT:
                self.assertFalse(self.may("POST", host, Origin=f"http://{host}", **given), given)


class Secrets(SynchronousTestCase):
    """Who sees password hashes from a network of ``--admin-allow``."""

    def sees(self, host: str = OWN, **given: str) -> bool:
        """Whether a request with these headers does."""
        return not Access(NETWORKS).permissions(CLIENT, headers(Host=host, **given), "GET").barred

    def test_programs(self) -> None:
        """A program does."""
        for given in PROGRAMS:
            self.assertTrue(self.sees("lb.example.com:9090", **given), given)

    def test_own(self) -> None:
        """Whoever looks at our pages does, by whatever link they came."""
        self.assertTrue(self.sees(Accept_Language="de"))
        for site in ("none", "same-origin", "cross-site"):
            self.assertTrue(
                self.sees(Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="document")
            )

    def test_foreign(self) -> None:
        """What a page of another site asks for shows none, though the browser would not let it read that."""
        for given in FOREIGN:
            self.assertFalse(self.sees(**given), given)
        frame = {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"}
        self.assertFalse(self.sees(Sec_Fetch_Site="cross-site", **frame))

    def test_rebound(self) -> None:
        """Nor does a page whose name leads here."""
        for given in SILENT:
            self.assertFalse(self.sees("evil.example:9090", **given), given)


class Tokens(SynchronousTestCase):
    """Who has the token."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.access = Access(NETWORKS, "", AdminToken(TOKEN), FailedTokens(self.clock))

    def permissions(self, authorization: str, client: str = "203.0.113.9", **given: str) -> Permissions:
        """What a request with this header may do."""
        return self.access.permissions(client, headers(Host=OWN, Authorization=authorization, **given), "GET")

    def refused(self, authorization: str, client: str = "203.0.113.9") -> Refusal:
        """Why a request with this header is not answered."""
        return self.assertRaises(Refusal, self.permissions, authorization, client)

    def test_right(self) -> None:
        """Whoever has it may do everything from anywhere, by any name, and our pages with it."""
        for given in ({}, {"Accept_Language": "de"}, {"User_Agent": "Mozilla/5.0"}):
            for scheme in ("Bearer", "bearer"):
                self.assertEqual(self.permissions(f"{scheme} {TOKEN}", **given), Permissions())
        own = {"Accept_Language": "de", "Origin": f"http://{OWN}"}
        self.assertEqual(self.permissions(f"Bearer {TOKEN}", **own), Permissions())

    def test_foreign(self) -> None:
        """What another site's page asks for changes nothing, though somebody on the way adds the token."""
        for given in FOREIGN:
            self.assertTrue(self.permissions(f"Bearer {TOKEN}", **given).refused, given)

    def test_wrong(self) -> None:
        """A wrong one is 401 with a challenge, also from a network that needs none."""
        for given in ("x", TOKEN[:-1], TOKEN + "x", "", "ü"):
            for client in ("203.0.113.9", CLIENT):
                refusal = self.refused(f"Bearer {given}", client)
                self.assertEqual(refusal.status, 401)
                self.assertIn("Bearer", refusal.headers["WWW-Authenticate"])
                self.assertNotIn(TOKEN, str(refusal))

    def test_none(self) -> None:
        """Without one the networks decide, and what is not for us is ignored."""
        self.assertIn("--admin-token", self.permissions("Basic am9lOng=").refused)
        self.assertEqual(self.permissions("Basic am9lOng=", CLIENT), Permissions())
        permissions = Access(NETWORKS).permissions(CLIENT, headers(Host=OWN, Authorization="Bearer x"), "GET")
        self.assertEqual(permissions, Permissions())

    def test_many(self) -> None:
        """Who gives many wrong ones has to wait, with the right one, too; others do not."""
        for _ in range(FAILURES):
            self.assertEqual(self.refused("Bearer x").status, 401)
        refusal = self.refused(f"Bearer {TOKEN}")
        self.assertEqual((refusal.status, refusal.headers), (429, {"Retry-After": "6"}))
        self.assertEqual(self.permissions(f"Bearer {TOKEN}", "203.0.113.8"), Permissions())
        self.clock.advance(FORGIVEN_AFTER - 0.4)
        self.assertEqual(self.refused(f"Bearer {TOKEN}").headers, {"Retry-After": "1"})
        self.clock.advance(0.4)
        self.assertEqual(self.permissions(f"Bearer {TOKEN}"), Permissions())
        self.assertEqual(self.refused("Bearer x").status, 401)
        self.assertEqual(self.refused("Bearer x").status, 429)


class Names(SynchronousTestCase):
    """What a browser calls us."""

    def test_own(self) -> None:
        """Nobody else can have an address, a name without a dot, or a private one lead here."""
        for host in (
            *("10.0.0.5:9090", "10.0.0.5", "[::1]:9090", "[fd00::5]", "localhost:9090", "lb1", "LB1:9090"),
            *("lb.internal", "lb.local.", "x.LOCALHOST"),
        ):
            self.assertTrue(Access(()).is_own_name(host), host)
        for host in (
            *("evil.example:9090", "10.0.0.5.evil.example", "mesos.evil.example", "", ":9090", "["),
            *(".", "evil.example.", "evil.marathon.mesos"),
        ):
            self.assertFalse(Access(()).is_own_name(host), host)

    def test_domain(self) -> None:
        """Names of this host's domain are its own, unless others may have names beside it, too."""
        access = Access((), "lb1.dc.example.com")
        for host in ("lb1.dc.example.com:9090", "lb.DC.example.com", "a.b.dc.example.com", "dc.example.com"):
            self.assertTrue(access.is_own_name(host), host)
        for host in ("lb.example.com", "evildc.example.com", "evil.example"):
            self.assertFalse(access.is_own_name(host), host)
        for own, other in (("lb.example", "evil.example"), ("lb.co.uk", "evil.co.uk")):
            short = Access((), own)
            self.assertEqual([short.is_own_name(host) for host in (own, other)], [True, False])

    def test_misnamed(self) -> None:
        """A browser that calls us by another name may be at anybody's site; an https page of it proves nothing."""
        host = "evil.example:9090"
        misnamed = Access(()).misnamed
        self.assertIn(host, misnamed(headers(Host=host, Accept_Language="en")))
        self.assertIn(host, misnamed(headers(Host=host, Origin=f"http://{host}")))
        self.assertIn(host, misnamed(headers(Host=host, Accept_Language="*")))
        self.assertTrue(misnamed(headers(Accept_Language="en")))
        self.assertNotEqual(misnamed(headers(Host=host, Origin=f"https://{host}")), "")
        self.assertEqual(misnamed(headers(Host=host, Accept_Language="en", Sec_Fetch_Site="same-origin")), "")
        self.assertEqual(misnamed(headers(Host="10.0.0.5:9090", Accept_Language="en")), "")
        self.assertEqual(misnamed(headers(Host=host)), "", "a program")


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
