"""The dashboard in a real Chromium over plain http, by names of several kinds, with a token and without."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from minimarathon.service import MiniMarathon
from tests.integration.browsers import MISSING, Browser
from tests.integration.controllers import Controlled, app
from tests.integration.haproxies import PACKAGE, WHEEL, free_port
from tests.integration.minimarathons import MarathonTestCase
from tests.integration.test_stats_address import asked

TOKEN = "0123456789abcdef0123456789abcdef"
HASH = "$1$saltsalt$" + "x" * 22  # of a cheap kind
OTHER, OWN = "lb.example", "lb"
"""A name that others may use, and a name that is unique to this host."""

SHOWS = "document.body.innerText.includes(arguments[0])"
BUTTONS = "document.querySelectorAll(\"button[data-post='/api/pin']\").length"
PAGE = "return fetch(arguments[0]).then((answer) => answer.text())"


class TokenTests(Controlled, MarathonTestCase):
    """One browser; what is tried follows one another."""

    haproxy = PACKAGE or WHEEL
    skip = MISSING or (None if PACKAGE or WHEEL else "there is no HAProxy")

    def setUp(self) -> None:
        super().setUp()
        self.browser = Browser(flags=(f"--host-resolver-rules=MAP {OTHER} 127.0.0.1, MAP {OWN} 127.0.0.1",))
        self.addCleanup(lambda: Deferred.fromCoroutine(self.browser.stop()))

    async def show(self, host: str, path: str) -> None:
        """Show a page."""
        await self.browser.open(f"http://{host}:{self.ports['stats']}{path}")

    async def _ready(self, service: MiniMarathon) -> None:
        await self.create(service, app("shop", free_port(), HAPROXY_0_AUTH=f"realm:joe:{HASH}"))
        await self.answers("401", "shop.example.com")

    async def begin(self, *options: str) -> MiniMarathon:
        """The load balancer and the browser."""
        service = self.marathon()
        self.daemon(service.url, "sse", *options)
        await gatherResults(
            [Deferred.fromCoroutine(self.browser.start()), Deferred.fromCoroutine(self._ready(service))]
        )
        return service

    async def test_token(self) -> None:
        """Who types the token sees everything and may pin, until he forgets it; others see no hash and no button."""
        file = self.directory / "token"
        file.write_text(f"{TOKEN}\n")
        file.chmod(0o600)
        service = await self.begin("--admin-allow=192.0.2.1", f"--admin-token={file}")
        await self.show(OTHER, "/configurations/running?find=joe")
        await self.browser.until(SHOWS, "password ***")
        await self.browser.type("#token-text", "wrong\n")
        await self.browser.until("document.getElementById('token-says').innerText.includes('--admin-token')")
        await self.browser.until(SHOWS, "password ***")
        await self.browser.type("#token-text", f"{TOKEN}\n")
        await self.browser.until(SHOWS, HASH)
        await self.show(OTHER, "/configurations")
        await self.browser.until(f"{BUTTONS} > 0")
        await self.browser.click("tbody tr:last-child button[data-post='/api/pin']")
        await self.browser.click("#sure-yes")
        await self.browser.until(
            "document.querySelector('.is-pinned') && !document.getElementById('sure').open"
        )
        await self.browser.click("#token-forget")
        await self.browser.until("!document.querySelector('.act')")
        refused = await self.script(service.url, "--rollback", "0")
        self.assertIn("--admin-allow", refused.stdout + refused.stderr)
        done = await self.script(service.url, "--rollback", "0", f"--admin-token={file}")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotIn(TOKEN, self.log() + self.config())
        await self.by_program()

    async def by_program(self) -> None:
        """A program gives the token in a header."""
        for token, status in ((TOKEN, 200), ("wrong", 401)):
            headers = {"Authorization": f"Bearer {token}"}
            code, text = await self.signal(headers=headers)
            self.assertEqual(code, status, text)
        self.assertEqual((await self.signal())[0], 403)

    async def signal(self, **more: Any) -> tuple[int, str]:
        """The answer to the old signal path."""
        found: tuple[int, str] = await deferToThread(asked, self.ports["stats"], "/_mlb_signal/hup", **more)
        return found

    async def test_names(self) -> None:
        """Without a token the buttons work by a name of our own, and another name shows no secrets."""
        await self.begin()
        await self.show(OWN, "/configurations")
        await self.browser.until(f"{BUTTONS} > 0")
        await self.browser.click("tbody tr:last-child button[data-post='/api/pin']")
        await self.browser.click("#sure-yes")
        await self.browser.until(
            "document.querySelector('.is-pinned') && !document.getElementById('sure').open"
        )
        await self.show(OWN, "/configurations/running?find=joe")
        await self.browser.until(SHOWS, HASH)
        await self.show(OTHER, "/configurations/running?find=joe")
        await self.browser.until(SHOWS, "password ***")
        for path in ("/_haproxy_getconfig", "/api/configurations/running"):
            text = await self.browser.script(PAGE, path)
            self.assertIn("***", text)
            self.assertNotIn(HASH, text)
