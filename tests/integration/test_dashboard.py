"""The dashboard in a real Chromium, through a real HAProxy: it is live, it answers, it can be used without seeing."""

from __future__ import annotations

import signal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from minimarathon.service import MiniMarathon
from tests.integration.browsers import MISSING, Browser
from tests.integration.controllers import Controlled, app
from tests.integration.haproxies import PACKAGE, WHEEL, free_port
from tests.integration.minimarathons import MarathonTestCase

PAGES = (
    *(
        "/",
        "/services",
        "/problems",
        "/timeline",
        "/configurations",
        "/configurations/running",
        "/difference",
    ),
    *("/explain?q=http://shop.example.com/", "/services/nothing"),
)

AXE = """
const done = arguments[arguments.length - 1];
axe.run(document, {resultTypes: ["violations"], runOnly: arguments[0]}).then(
  (found) => done(found.violations.map((each) => [each.impact, each.id, each.nodes.map((node) => node.html)])),
  (error) => done([["serious", String(error), []]]));
"""
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]

FREEZE = """
const animate = Element.prototype.animate;
Element.prototype.animate = function () {
  const made = animate.apply(this, arguments);
  made.pause();
  return made;
};
for (const spot of document.querySelectorAll("[data-flash]")) {
  const texts = document.createTreeWalker(spot, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) texts.currentNode.nodeValue += " ";
}
"""
"""Makes every spot that can flash do so at the next look, and stay at its brightest."""

OUTSIDE = """
const outside = [...document.querySelectorAll(arguments[0])].filter((each) => {
  const place = each.getBoundingClientRect();
  return place.width > 0 && (place.left < 0 || place.right > innerWidth);
});
if (document.documentElement.scrollWidth > innerWidth) outside.push(document.documentElement);
return outside.map((each) => each.outerHTML.slice(0, 200));
"""
"""JavaScript that returns the elements wider than the window."""

FLASHING = "new Set(document.getAnimations().map((each) => each.effect.target)).size"
SPOTS = "[...document.querySelectorAll('[data-flash]')].filter((spot) => spot.innerText).length"

ROWS = "document.querySelectorAll('tbody tr').length"
SHOWS = "document.body.innerText.includes(arguments[0])"
IS_LIVE = "document.getElementById('link').classList.contains('is-live')"


def axe() -> Path | None:
    """The file of axe-core, which looks for what people who do not see, or not well, stumble over."""
    found = find_spec("axe_core_python")
    return Path(found.origin).parent / "axe.min.js" if found and found.origin else None


class DashboardTests(Controlled, MarathonTestCase):
    """One browser and one load balancer; what is tried follows one another."""

    haproxy = PACKAGE or WHEEL
    skip = (
        MISSING
        or (None if PACKAGE or WHEEL else "there is no HAProxy")
        or (None if axe() else "no axe-core-python")
    )

    def setUp(self) -> None:
        super().setUp()
        self.browser = Browser()
        self.addCleanup(self._stopped)

    def _stopped(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.browser.stop())

    async def show(self, path: str) -> None:
        """Open a page, and wait until it receives events."""
        await self.browser.open(f"http://127.0.0.1:{self.ports['stats']}{path}")
        await self.browser.until(IS_LIVE)

    async def test_dashboard(self) -> None:
        """Whatever an operator does with it works, the console says nothing, and axe-core finds nothing."""
        service = self.marathon()
        daemon = self.daemon(service.url)
        await gatherResults(
            [Deferred.fromCoroutine(self.browser.start()), Deferred.fromCoroutine(self._ready(service))]
        )
        await self._live(service)
        await self._search()
        await self._explain()
        await self._problem(service)
        await self._pin()
        self.assertEqual(await self.browser.complaints(), [])
        await self._accessible()
        await self._phone()
        await self._alone(service, daemon)

    async def _ready(self, service: MiniMarathon) -> None:
        await self.create(service, app("shop", free_port()))
        hostile = {
            "HAPROXY_0_VHOSTS": '"><script>window.hacked = 1</script><img src=x onerror="window.hacked = 1">'
        }
        await self.create(service, app("cart", free_port(), **hostile))
        await self.answers("shop task=", "shop.example.com")
        await self.answers("cart task=", "cart.example.com")

    async def _live(self, service: MiniMarathon) -> None:
        """A scale is seen without loading the page again; focus and what was there stay."""
        await self.show("/")
        await self.browser.until("document.getElementById('verdict').innerText.includes('Up to date')")
        await self.browser.click("dl.figures a[href='/services']")
        await self.browser.until(f"location.pathname === '/services' && {ROWS} === 2")
        await self.browser.click("tr[data-key^='shop_'] a")
        await self.browser.until(f"{ROWS} === 1 && {IS_LIVE}")
        await self.browser.script(
            "window.same = document.querySelector('h1'); document.querySelector('h1 ~ dl a').focus()"
        )
        status, _ = await self.ask(service, "PATCH", "/v2/apps/shop", {"instances": 2})
        self.assertEqual(status, 200)
        await self.browser.until(f"{ROWS} === 2")
        self.assertTrue(
            await self.browser.script(
                "return window.same === document.querySelector('h1')"
                " && document.activeElement === document.querySelector('h1 ~ dl a')"
            )
        )

    async def _search(self) -> None:
        """Check that typed text filters the list at once, and stays in the field and in the address."""
        await self.show("/services")
        await self.browser.type("input[name=q]", "SHOP")
        await self.browser.until(f"{ROWS} === 1 && location.search.includes('q=SHOP')")
        self.assertIn("1 of 2 services", await self.browser.text("[role=status].result"))
        self.assertEqual(await self.browser.script("return document.activeElement.value"), "SHOP")
        await self.browser.click("a.clear")
        await self.browser.until(f"{ROWS} === 2 && !location.search")
        await self.browser.click("th a[href*='sort=servers']")
        await self.browser.until(
            "document.querySelector('th[aria-sort=descending]')?.innerText.includes('Servers')"
        )
        first = await self.browser.script("return document.querySelector('tbody tr').dataset.key")
        self.assertTrue(first.startswith("shop_"), first)

    async def _explain(self) -> None:
        """A question on the overview is answered."""
        await self.show("/")
        await self.browser.type("#q", "shop.example.com/cart\n")
        await self.browser.until(
            "document.querySelector('.says')?.innerText.includes('leads to /shop port 0')"
        )

    async def _problem(self, service: MiniMarathon) -> None:
        """Check that a problem is shown when it appears, as text, and disappears when it is fixed."""
        await self.show("/problems")
        await self.browser.until(SHOWS, "<script>window.hacked = 1</script>")
        await self.create(service, app("wrong", free_port(), instances=0, HAPROXY_0_MODE="htpp"))
        await self.browser.until(SHOWS, "is neither tcp nor http")
        self.assertFalse(
            await self.browser.script("return Boolean(window.hacked || document.querySelector('main img'))")
        )
        await self.ask(service, "DELETE", "/v2/apps/wrong")
        await self.browser.until(f"!{SHOWS}", "is neither tcp nor http")

    async def _pin(self) -> None:
        """A configuration is pinned by a button that asks first, said on the page, and released."""
        await self.show("/configurations")
        await self.browser.click("tbody tr:last-child button[data-post='/api/pin']")
        await self.browser.until("document.getElementById('sure').open")
        await self.browser.click("#sure-no")
        await self.browser.until("!document.getElementById('sure').open")
        await self.browser.click("tbody tr:last-child button[data-post='/api/pin']")
        await self.browser.click("#sure-yes")
        await self.browser.until(
            "document.querySelector('.is-pinned')?.innerText.includes('Pinned to configuration')"
        )
        await self.browser.click("button[data-post='/api/unpin']")
        await self.browser.click("#sure-yes")
        await self.browser.until(
            "!document.querySelector('.is-pinned') && !document.getElementById('sure').open"
        )

    async def _accessible(self) -> None:
        """Nothing stands in the way of those who use a keyboard, a screen reader, or need contrast: light and dark."""
        file = axe()
        assert file is not None
        text = file.read_text(encoding="utf-8")
        found: list[Any] = []
        await self.browser.devtools("Page.addScriptToEvaluateOnNewDocument", source=text)
        await self.show("/services")
        service = await self.browser.script("return document.querySelector('tbody a').getAttribute('href')")
        for path in (*PAGES, service):
            await self.browser.open(f"http://127.0.0.1:{self.ports['stats']}{path}")
            for scheme, rules in (("light", STANDARDS), ("dark", ["color-contrast"])):
                await self._colours(scheme)
                violations = await self.browser.later(AXE, rules)
                found += [(scheme, path, *violation) for violation in violations]
        self.assertEqual(found, [])
        for path in ("/", "/services", service):
            await self._flashing(path)

    async def _colours(self, scheme: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.browser.devtools("Emulation.setEmulatedMedia", features=features)

    async def _flashing(self, path: str) -> None:
        """Check that a recent change is readable, also if the color scheme changes meanwhile."""
        await self._colours("light")
        await self.show(path)
        await self.browser.script(FREEZE)
        await self.browser.until(f"{FLASHING} >= {SPOTS} && {SPOTS} > 0")
        for scheme in ("light", "dark"):
            await self._colours(scheme)
            self.assertEqual(await self.browser.later(AXE, ["color-contrast"]), [], (path, scheme))

    async def _phone(self) -> None:
        """On a phone nothing sticks out of the page, every page can be reached, and so can the way back."""
        size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
        await self.browser.devtools("Emulation.setDeviceMetricsOverride", **size)
        for path in PAGES:
            await self.browser.open(f"http://127.0.0.1:{self.ports['stats']}{path}")
            outside = await self.browser.script(OUTSIDE, ".pages a, .act, .verdict, .ask button")
            self.assertEqual(outside, [], path)
        await self.browser.devtools("Emulation.clearDeviceMetricsOverride")

    async def _alone(self, service: MiniMarathon, daemon: Any) -> None:
        """A page whose controller is gone says so, and goes on when there is one again."""
        await self.show("/services")
        daemon.send_signal(signal.SIGKILL)
        await deferToThread(daemon.wait)
        await self.browser.until(
            "document.getElementById('lost').innerText.includes('HAProxy keeps serving')"
        )
        self.assertEqual(await self.browser.script(f"return {ROWS}"), 2)
        self.daemon(service.url)
        await self.browser.until(f"document.getElementById('lost').hidden && {IS_LIVE}")
