"""A real Chromium for the tests, controlled by the WebDriver protocol (W3C) without blocking the reactor."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import treq
from twisted.internet.error import ConnectError
from twisted.internet.threads import deferToThread
from twisted.web.client import ResponseNeverReceived

from tests.integration.minimarathons import until
from tests.integration.reserved import free_port

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
CHROMEDRIVER = shutil.which("chromedriver") or ""
MISSING = None if CHROMIUM and CHROMEDRIVER else "chromium and chromedriver are not installed"

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *(
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
    ),
    *("--disable-default-apps", "--disable-extensions", "--hide-scrollbars", "--force-device-scale-factor=1"),
)

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"

SECONDS = 30.0
"""Maximum number of seconds until a page has the expected state."""


class Refused(AssertionError):
    """The browser returned an error; the message is the browser's."""


class Browser:
    """
    A browser with one window and its own profile directory.

    :param size: size of the window, in pixels.
    :param flags: additional command line flags of Chromium.
    """

    def __init__(self, size: tuple[int, int] = (1280, 900), flags: tuple[str, ...] = ()) -> None:
        self._size = size
        self._flags = flags
        self._home = Path(tempfile.mkdtemp(prefix="browser-", dir="/tmp"))
        self._port = free_port()
        self._driver: subprocess.Popen[bytes] | None = None
        self._session = ""

    async def start(self) -> None:
        """Start the browser."""
        environ = {"HOME": str(self._home), "PATH": "/usr/bin:/bin", "TMPDIR": str(self._home)}
        with (self._home / "log").open("wb") as log:
            self._driver = subprocess.Popen(
                [CHROMEDRIVER, f"--port={self._port}"],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

        async def ready() -> bool:
            try:
                return bool((await self._ask("GET", "/status"))["ready"])
            except (ConnectError, ResponseNeverReceived):
                return False

        await until(ready, SECONDS)
        own = [f"--user-data-dir={self._home}/profile", "--window-size={},{}".format(*self._size)]
        flags = [*FLAGS, *self._flags, *own]
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": CHROMIUM, "args": flags},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        made = await self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{made['sessionId']}"

    async def stop(self) -> None:
        """End the browser and its child processes, and delete its files."""
        driver = self._driver
        try:
            if self._session:
                await self._ask("DELETE", self._session)
        finally:
            if driver is not None:
                with suppress(ProcessLookupError):
                    os.killpg(driver.pid, signal.SIGKILL)
                await deferToThread(driver.wait)
        shutil.rmtree(self._home, ignore_errors=True)

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if data else {}
        url = f"http://127.0.0.1:{self._port}{path}"
        response = await treq.request(method, url, data=data, headers=headers, persistent=False, timeout=60)
        value = json.loads(await treq.content(response))["value"]
        if response.code != 200:
            raise Refused(f"{method} {path}: {value.get('error')}: {value.get('message')}")
        return value

    async def open(self, url: str) -> None:
        """Open a page."""
        await self._ask("POST", f"{self._session}/url", {"url": url})

    async def script(self, text: str, *arguments: Any) -> Any:
        """Run the body of a function, and return its result; the page's security policy does not apply."""
        body = {"script": text, "args": arguments}
        return await self._ask("POST", f"{self._session}/execute/sync", body)

    async def later(self, text: str, *arguments: Any) -> Any:
        """Run the body of a function, and return the value that it passes to its last argument, a callback."""
        body = {"script": text, "args": arguments}
        return await self._ask("POST", f"{self._session}/execute/async", body)

    async def until(self, condition: str, *arguments: Any) -> Any:
        """Wait until an expression of the page is true, and return it."""

        async def asked() -> Any:
            return await self.script(f"return {condition}", *arguments)

        try:
            return await until(asked, SECONDS)
        except AssertionError:
            shown = await self.script("return document.body.innerText")
            raise AssertionError(f"never {condition}; the page says:\n{shown}") from None

    async def text(self, selector: str) -> str:
        """Return the text of the first matching element."""
        return str(await self.script("return document.querySelector(arguments[0]).innerText", selector))

    async def element(self, selector: str) -> str:
        """Return a reference to an element. Raise `Refused` if there is none."""
        body = {"using": "css selector", "value": selector}
        found = await self._ask("POST", f"{self._session}/element", body)
        return f"{self._session}/element/{found[_ELEMENT]}"

    async def click(self, selector: str) -> None:
        """Click an element like a user: it must be visible."""
        await self._ask("POST", f"{await self.element(selector)}/click", {})

    async def type(self, selector: str, text: str) -> None:
        """Type a text, key by key."""
        await self._ask("POST", f"{await self.element(selector)}/value", {"text": text})

    async def resize(self, width: int, height: int) -> None:
        """Resize the window."""
        await self._ask("POST", f"{self._session}/window/rect", {"width": width, "height": height})

    async def devtools(self, command: str, **parameters: Any) -> Any:
        """Send a command of Chromium's DevTools protocol."""
        body = {"cmd": command, "params": parameters}
        return await self._ask("POST", f"{self._session}/goog/cdp/execute", body)

    async def complaints(self) -> list[str]:
        """Return the console messages since the last call: errors and policy violations."""
        entries = await self._ask("POST", f"{self._session}/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]

    async def picture(self, path: Path, *, whole: bool = False) -> None:
        """Write a screenshot as PNG."""
        found = await self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))
