"""The instructions of ``make run``: commands to paste, once traffic flows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class DemoPorts(Protocol):
    """The ports in the commands."""

    @property
    def http(self) -> int: ...  # noqa: D102
    @property
    def https(self) -> int: ...  # noqa: D102
    @property
    def stats(self) -> int: ...  # noqa: D102
    @property
    def appid(self) -> int: ...  # noqa: D102
    @property
    def marathon(self) -> int: ...  # noqa: D102


#: The apps that the commands of `SAMPLE` request.
SHOWN = frozenset(("/shop/web", "/shop/cart", "/sticky", "/secure", "/echo"))

SAMPLE = """
Traffic flows. Try this in another terminal:

  # two apps on one host name
  curl -H 'Host: shop.example.com' http://127.0.0.1:{http}/
  curl -H 'Host: shop.example.com' http://127.0.0.1:{http}/cart

  # always the same task, by a cookie
  curl -c {directory}/cookies -b {directory}/cookies -H 'Host: sticky.example.com' http://127.0.0.1:{http}/

  # a redirect to HTTPS, and the response there
  curl -i -H 'Host: secure.example.com' http://127.0.0.1:{http}/
  curl -k --resolve secure.example.com:{https}:127.0.0.1 https://secure.example.com:{https}/

  # TCP: an echo on its service port
  bash -c 'exec 3<>/dev/tcp/127.0.0.1/{echo}; echo hello >&3; head -n 1 <&3'

  # an app by its id
  curl -H 'X-Marathon-App-Id: /shop/web' http://127.0.0.1:{appid}/

  # more instances, one task less, a restart of all tasks: HAProxy follows
  curl -X PATCH -H 'Content-Type: application/json' -d '{{"instances": 5}}' http://127.0.0.1:{marathon}/v2/apps/shop/web
  curl -X DELETE "http://127.0.0.1:{marathon}/v2/apps/shop/web/tasks/$(curl -s http://127.0.0.1:{marathon}/v2/apps/shop/web/tasks | grep -o '"id":"[^"]*' | head -n 1 | cut -d '"' -f 4)"
  curl -X POST http://127.0.0.1:{marathon}/v2/apps/shop/web/restart?force=true
"""  # noqa: E501 - commands are pasted whole

OTHER = """
HAProxy runs for {marathons}. Try this in another terminal, with a host name of one of your apps:

  curl -H 'Host: app.example.com' http://127.0.0.1:{http}/
  curl -k --resolve app.example.com:{https}:127.0.0.1 https://app.example.com:{https}/
  curl -H 'X-Marathon-App-Id: /your/app' http://127.0.0.1:{appid}/
"""

BOTH = """
  # Marathon's events
  curl -N -H 'Accept: text/event-stream' {marathon_url}/v2/events

  # the dashboard of marathon-lb, http://127.0.0.1:{stats}/ in a browser, and its data
  curl -s http://127.0.0.1:{stats}/api/status

  # HAProxy's statistics (also http://127.0.0.1:{stats}/haproxy?stats in a browser), and its configuration
  curl -s 'http://127.0.0.1:{stats}/haproxy?stats;csv' | cut -d , -f 1,2,18
  cat {directory}/haproxy.cfg

Logs are in {directory}. Ctrl-C ends all processes.
"""


def instructions(ports: DemoPorts, marathons: Sequence[str], directory: Path, echo: int | None) -> str:
    """
    Return the instructions.

    :param marathons: URLs of real Marathons; empty if minimarathon runs.
    :param echo: the service port of the sample's echo app; None if other apps run.
    """
    own = f"http://127.0.0.1:{ports.marathon}"
    return ((OTHER if echo is None else SAMPLE) + BOTH).format(
        http=ports.http,
        https=ports.https,
        stats=ports.stats,
        appid=ports.appid,
        marathon=ports.marathon,
        directory=directory,
        echo=echo,
        marathons=", ".join(marathons or [own]),
        marathon_url=marathons[0] if marathons else own,
    )
