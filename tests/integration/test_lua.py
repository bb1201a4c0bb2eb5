"""The Lua services that overrides of long ago ask for: they ask the controller in the client's name, or read files."""

from __future__ import annotations

from http.client import HTTPConnection
from typing import Any

from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.protocols.haproxy._wrapper import HAProxyWrappingFactory
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from tests.coroutines import coroutine
from tests.integration.haproxies import on_each
from tests.integration.worlds import Answer, World, ask

HEAD = """\
global
  lua-load /marathon-lb/getpids.lua
  lua-load /marathon-lb/getconfig.lua
  lua-load /opt/marathon-lb/getmaps.lua
  lua-load signalmlb.lua
defaults
  mode http
  timeout connect 3s
  timeout client 5s
  timeout server 5s
listen stats
  bind {bind}
  http-request use-service lua.getpids if {{ path /pids }}
  http-request use-service lua.getconfig if {{ path /_haproxy_getconfig }}
  http-request use-service lua.getvhostmap if {{ path /_haproxy_getvhostmap }}
  http-request use-service lua.getappmap if {{ path /_haproxy_getappmap }}
  http-request use-service lua.signalmlbhup if {{ path /_mlb_signal/hup }}
  http-request use-service lua.signalmlbusr1 if {{ path /_mlb_signal/usr1 }}
"""


HANDED_ON = ("origin", "accept-language", "sec-fetch-mode", "referer", "authorization", "x-other")


class Controller(Resource):
    """Says who asks for what; a signal is not for everybody."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.methods: list[bytes] = []

    def render_GET(self, request: Request) -> bytes:
        client = request.getClientAddress().host  # type: ignore[union-attr]
        origin = " ".join(filter(None, map(request.getHeader, HANDED_ON)))
        self.methods.append(request.method)
        request.setHeader("Content-Type", "text/plain; charset=us-ascii")
        if request.path.startswith(b"/_mlb_signal"):
            request.setResponseCode(403)
        return f"{request.uri.decode()} {client} {origin}\n".encode()

    render_POST = render_GET


def head(port: int, path: str, method: str = "HEAD") -> None:
    """Ask for a page, by default for its head, and read the answer away."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path)
    connection.getresponse().read()
    connection.close()


class LuaMixin:
    """The services on each HAProxy."""

    binary = ""
    timeout = 240
    assertEqual: Any
    assertIn: Any
    assertNotEqual: Any
    addCleanup: Any

    def setUp(self) -> None:
        self.world = World(self.binary)
        self.addCleanup(self.world.end)
        text = HEAD.format(bind=self.world.settings.bind_stats)
        self.world.settings.environment["HAPROXY_HEAD"] = text

    def listen(self) -> Controller:
        """A controller on the socket in the state directory."""
        controller = Controller()
        path = f"{self.world.settings.state_dir}/web.sock"
        site = Site(controller)
        self.addCleanup(reactor.listenUNIX(path, HAProxyWrappingFactory(site)).stopListening)  # type: ignore[attr-defined]
        return controller

    async def asked(self, path: str, **headers: str) -> Answer:
        """HAProxy's answer."""
        return await deferToThread(ask, self.world.stats, "a.test", path, **headers)

    @coroutine
    async def test_controller(self) -> None:
        """Each hands its request to the controller's path that is meant, in the client's name, and the answer back."""
        self.listen()
        self.world.start()
        self.assertEqual(self.world.problems, ())
        answer = await self.asked("/pids")
        self.assertEqual((answer.status, answer.body), (200, b"/_haproxy_getpids 127.0.0.1 \n"))
        self.assertEqual(answer.headers["content-type"], "text/plain; charset=us-ascii")
        for name in ("hup", "usr1"):
            answer = await self.asked(f"/_mlb_signal/{name}", Origin="http://evil.test")
            said = f"/_mlb_signal/{name} 127.0.0.1 http://evil.test\n".encode()
            self.assertEqual((answer.status, answer.body), (403, said))
        answer = await self.asked("/_mlb_signal/hup", Accept_Language="en")
        self.assertEqual(answer.body, b"/_mlb_signal/hup 127.0.0.1 en\n", "a browser that says nothing else")
        more = {"Sec_Fetch_Mode": "cors", "Referer": "http://x/", "Authorization": "Bearer x", "X_Other": "y"}
        answer = await self.asked("/_mlb_signal/hup", **more)
        self.assertEqual(answer.body, b"/_mlb_signal/hup 127.0.0.1 cors http://x/ Bearer x\n")

    @coroutine
    async def test_head(self) -> None:
        """HEAD is not handed on as something that would do more."""
        controller = self.listen()
        self.world.start()
        await deferToThread(head, self.world.stats, "/_mlb_signal/hup")
        self.assertEqual(controller.methods, [b"HEAD"])

    @coroutine
    async def test_post(self) -> None:
        """A POST is handed on as one: a page of our own may cause that, and no GET."""
        controller = self.listen()
        self.world.start()
        await deferToThread(head, self.world.stats, "/_mlb_signal/hup", "POST")
        self.assertEqual(controller.methods, [b"POST"])

    @coroutine
    async def test_nobody(self) -> None:
        """Without a controller the answer is 503, and HAProxy serves on."""
        self.world.start()
        answer = await self.asked("/pids")
        self.assertEqual(answer.status, 503)
        self.assertIn(b"The controller does not answer", answer.body)

    @coroutine
    async def test_files(self) -> None:
        """The configuration comes without passwords, whatever its size, and the maps as they are."""
        self.world.app("secret", {"0_VHOST": "a.test", "0_AUTH": "r:joe:$1$salt$hash"})
        more = "".join(f"  # {number:060}\n" for number in range(5000)) + "  stats auth joe:secret word\n"
        self.world.settings.environment["HAPROXY_BACKEND_EXTRA"] = more
        self.world.start()
        shown = (await self.asked("/_haproxy_getconfig")).body.decode()
        text = (self.world.directory / "haproxy.cfg").read_text()
        self.assertEqual(shown, text.replace("$1$salt$hash", "***").replace("secret word", "***"))
        self.assertNotEqual(shown, text)
        for path, name in (("getvhostmap", "domain2backend.map"), ("getappmap", "app2backend.map")):
            answer = await self.asked(f"/_haproxy_{path}")
            self.assertEqual(answer.body.decode(), (self.world.directory / name).read_text())
        (self.world.directory / "app2backend.map").unlink()
        self.assertEqual((await self.asked("/_haproxy_getappmap")).status, 404)


on_each(LuaMixin, globals(), TestCase)
