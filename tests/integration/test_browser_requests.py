"""What a page in a real Chromium can make it send: nothing of it may be taken for a program's or for our own page's."""

from __future__ import annotations

from attrs import frozen
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from marathonlb.web.access import Access
from tests.coroutines import coroutine
from tests.integration.browsers import MISSING, Browser
from tests.integration.minimarathons import until

EVIL, ADDRESS = "evil.example", "10.0.0.5"
"""An attacker's name, and an address of ours that is not this machine's: what goes there has no Sec-Fetch-Site."""

FLAGS = (
    f"--host-resolver-rules=MAP {EVIL} 127.0.0.1, MAP {ADDRESS} 127.0.0.1",
    "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests,"
    "PrivateNetworkAccessSendPreflights,HttpsUpgrades,HttpsFirstBalancedModeAutoEnable",
    "--disable-popup-blocking",
    "--autoplay-policy=no-user-gesture-required",
)

CROSS = """
const target = arguments[0];
const at = (name) => `${target}/v/${name}`;
const add = (tag, attributes, parent) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  (parent || document.body).append(made);
  return made;
};
const quiet = {referrerPolicy: "no-referrer"};
add("img", {src: at("img")});
add("img", {src: at("img-quiet"), referrerpolicy: "no-referrer"});
add("script", {src: at("script")});
add("script", {src: at("module"), type: "module"});
add("link", {rel: "stylesheet", href: at("style")});
add("link", {rel: "icon", href: at("icon")});
add("link", {rel: "prefetch", href: at("prefetch")});
add("link", {rel: "preload", as: "image", href: at("preload")});
add("link", {rel: "modulepreload", href: at("modulepreload")});
add("video", {src: at("video"), autoplay: "", preload: "auto", muted: ""});
add("audio", {src: at("audio"), autoplay: "", preload: "auto"});
add("object", {data: at("object")});
add("embed", {src: at("embed")});
add("iframe", {src: at("frame")});
add("iframe", {src: at("frame-sandboxed"), sandbox: "allow-scripts"});
add("input", {type: "image", src: at("input")});
add("style", {}).textContent = `@font-face {font-family: x; src: url(${at("font")})} body {font-family: x;
  background: url(${at("background")})}`;
new Image().src = `/redirect?${at("redirected")}`;
fetch(`/redirect?${at("fetch-redirected")}`, {mode: "no-cors"}).catch(() => 0);
for (const [method, body] of [["GET", undefined], ["POST", "{}"], ["HEAD", undefined]]) {
  fetch(at(`no-cors-${method}`), {method, body, mode: "no-cors", ...quiet,
    headers: {"Accept-Language": "*", Accept: "*/*"}}).catch(() => 0);
  fetch(at(`cors-${method}`), {method, body, headers: {"Accept-Language": "*"}, ...quiet}).catch(() => 0);
}
fetch(at("empty"), {mode: "no-cors", headers: {"Accept-Language": ""}, ...quiet}).catch(() => 0);
fetch(at("kept"), {mode: "no-cors", keepalive: true, credentials: "include"}).catch(() => 0);
fetch(at("json"), {method: "POST", body: "{}", headers: {"Content-Type": "application/json"}}).catch(() => 0);
fetch(at("token"), {headers: {Authorization: "Bearer x"}}).catch(() => 0);
const xhr = new XMLHttpRequest();
xhr.open("GET", at("xhr"));
xhr.setRequestHeader("Accept-Language", "*");
xhr.send();
navigator.sendBeacon(at("beacon"), "x");
new EventSource(at("events"));
new WebSocket(at("socket").replace("http", "ws"));
const worker = `fetch("${at("worker")}", {mode: "no-cors", headers: {"Accept-Language": "*"}}).catch(() => 0)`;
new Worker(URL.createObjectURL(new Blob([worker], {type: "text/javascript"})));
for (const kind of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
  const name = `form-${kind.split("/")[1]}`;
  const frame = add("iframe", {name});
  const form = add("form", {method: "POST", enctype: kind, action: at(name), target: name});
  add("input", {name: '{"name": "1", "x": "', value: '"}'}, form);
  form.submit();
}
const got = add("form", {method: "GET", action: at("form-get"), target: "form-get"});
add("iframe", {name: "form-get"});
got.submit();
add("iframe", {sandbox: "allow-scripts allow-forms", srcdoc: `<form method="POST" action="${at("null-form")}"></form>
  <script>document.forms[0].submit()</script>`});
add("iframe", {sandbox: "allow-scripts", srcdoc: `<script>fetch("${at("null-fetch")}", {method: "POST",
  mode: "no-cors"})</script>`});
const link = add("a", {href: "#", ping: at("ping")});
link.textContent = "x";
link.click();
window.open(at("window"));
window.open(at("window-quiet"), "_blank", "noreferrer,noopener");
"""
"""Everything that a page of another site can do to an address."""

VECTORS = (
    *("img", "img-quiet", "script", "module", "style", "prefetch", "preload", "modulepreload"),
    *(
        "object",
        "embed",
        "frame",
        "frame-sandboxed",
        "input",
        "background",
        "font",
        "redirected",
        "fetch-redirected",
    ),
    *("no-cors-GET", "no-cors-POST", "no-cors-HEAD", "cors-GET", "cors-POST", "cors-HEAD", "empty", "kept"),
    *(
        "xhr",
        "beacon",
        "events",
        "socket",
        "worker",
        "form-plain",
        "form-x-www-form-urlencoded",
        "form-form-data",
    ),
    *("form-get", "null-form", "null-fetch", "ping", "window", "window-quiet"),
)

REBOUND = """
const done = arguments[arguments.length - 1];
const bare = {"Accept-Language": "*", Accept: "*/*", "User-Agent": "curl/8.5.0"};
const kinds = [{}, bare, {"Accept-Language": "", "User-Agent": ""}, {"Content-Type": "application/json"},
  {Cookie: "", Origin: "", Referer: "", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", Host: "lb"}];
const asked = [];
for (const [number, headers] of kinds.entries()) {
  for (const method of ["GET", "POST", "HEAD", "PUT"]) {
    for (const [name, more] of [["", {}], ["quiet", {referrerPolicy: "no-referrer", credentials: "omit",
        mode: "same-origin"}]]) {
      asked.push(fetch(`/v/${number}-${method}-${name}`, {method, headers, ...more}));
    }
  }
  const xhr = new XMLHttpRequest();
  xhr.open("GET", `/v/${number}-xhr`);
  for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
  asked.push(new Promise((resolve) => { xhr.onloadend = resolve; xhr.send(); }));
}
Promise.allSettled(asked).then((all) => done(all.filter((each) => each.status === "rejected").map(String)));
"""
"""Everything that a page can do to its own site, which a name has lead to the load balancer."""


@frozen
class Seen:
    """A request that came."""

    name: str
    method: str
    headers: Headers


class Recorder(Resource):
    """Whatever is asked: an empty page, or a redirect."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[Seen] = []

    def render(self, request: Request) -> bytes:
        path, _, query = request.uri.decode().partition("?")
        if path == "/redirect":
            request.redirect(query.encode())
            return b""
        if path.startswith("/v/"):
            name = path.removeprefix("/v/")
            self.seen.append(Seen(name, request.method.decode(), request.requestHeaders.copy()))
        request.setHeader(b"Content-Type", b"text/html")
        return b"<!doctype html><title>x</title><body>"


class Attacks(TestCase):
    """A browser in a network of --admin-allow, on foreign pages."""

    skip = MISSING
    timeout = 120

    def setUp(self) -> None:
        self.access = Access(("127.0.0.0/8",), "lb1.dc.example.com")
        self.recorder = Recorder()
        self.ports = []
        for _ in range(2):
            port = reactor.listenTCP(0, Site(self.recorder), interface="127.0.0.1")  # type: ignore[attr-defined]
            self.addCleanup(port.stopListening)
            self.ports.append(port.getHost().port)
        self.browser = Browser(flags=FLAGS)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.browser.stop()))

    def names(self) -> set[str]:
        """Return the names of the received requests."""
        return {seen.name for seen in self.recorder.seen}

    async def arrived(self, names: tuple[str, ...]) -> None:
        """Wait until all of these have come."""
        try:
            await until(lambda: set(names) <= self.names(), 20)
        except AssertionError:
            raise AssertionError(f"never sent: {set(names) - self.names()}") from None

    def harmless(self, seen: Seen) -> bool:
        """Return whether a request cannot change anything."""
        return bool(self.access.permissions("127.0.0.1", seen.headers, seen.method).refused)

    @coroutine
    async def test_foreign_page(self) -> None:
        """Nothing that a page can send to us from elsewhere may change anything, here or on another machine."""
        own, ours = self.ports
        await self.browser.start()
        for host in (ADDRESS, "127.0.0.1", "localhost"):
            self.recorder.seen.clear()
            await self.browser.open(f"http://{EVIL}:{own}/")
            await self.browser.script(CROSS, f"http://{host}:{ours}")
            await self.arrived(VECTORS if host != ADDRESS else (*VECTORS, "video", "audio"))
            taken = [(seen.name, seen.method) for seen in self.recorder.seen if not self.harmless(seen)]
            self.assertEqual(taken, [], host)
            languages = {
                seen.name: seen.headers.getRawHeaders("Accept-Language") for seen in self.recorder.seen
            }
            self.assertEqual((languages["no-cors-GET"], languages["empty"]), (["*"], [""]))

    @coroutine
    async def test_rebound(self) -> None:
        """Nothing that a page can send to its own name, once that leads to us, changes anything or shows a secret."""
        await self.browser.start()
        await self.browser.open(f"http://{EVIL}:{self.ports[1]}/v/navigation")
        failed = await self.browser.later(REBOUND)
        self.assertEqual(failed, [])
        await self.browser.script("new WebSocket(`ws://${location.host}/v/socket`); location = '/v/again'")
        await self.arrived(("socket", "again"))
        self.assertGreater(len(self.names()), 40)
        for seen in self.recorder.seen:
            permissions = self.access.permissions("127.0.0.1", seen.headers, seen.method)
            self.assertTrue(permissions.barred and permissions.refused, seen)
