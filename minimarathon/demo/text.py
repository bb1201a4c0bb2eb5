"""The text of ``make run`` about what to try, once traffic flows: commands that work when they are pasted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class DemoPorts(Protocol):
    """The ports that the commands name."""

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


#: The apps that the commands of `SAMPLE` ask.
SHOWN = frozenset(("/shop/web", "/shop/cart", "/sticky", "/secure", "/echo"))

SAMPLE = """
Traffic flows. Try this in another terminal:

  # two apps on one host name
  curl -H 'Host: shop.example.com' http://127.0.0.1:{http}/
  curl -H 'Host: shop.example.com' http://127.0.0.1:{http}/cart

  # the same task again and again, by a cookie
  curl -c {directory}/cookies -b {directory}/cookies -H 'Host: sticky.example.com' http://127.0.0.1:{http}/

  # redirected to https, and answered there
  curl -i -H 'Host: secure.example.com' http://127.0.0.1:{http}/
  curl -k --resolve secure.example.com:{https}:127.0.0.1 https://secure.example.com:{https}/

  # TCP: an echo on its service port
  bash -c 'exec 3<>/dev/tcp/127.0.0.1/{echo}; echo hello >&3; head -n 1 <&3'

  # an app by its id
  curl -H 'X-Marathon-App-Id: /shop/web' http://127.0.0.1:{appid}/

  # more instances, one task less, every task anew: HAProxy follows
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
  # what Marathon tells as it happens
  curl -N -H 'Accept: text/event-stream' {marathon_url}/v2/events

  # what the load balancer does, as it does it: http://127.0.0.1:{stats}/ in a browser, and as data
  curl -s http://127.0.0.1:{stats}/api/status

  # HAProxy's statistics (also http://127.0.0.1:{stats}/haproxy?stats in a browser), and what it runs
  curl -s 'http://127.0.0.1:{stats}/haproxy?stats;csv' | cut -d , -f 1,2,18
  cat {directory}/haproxy.cfg

Logs are in {directory}. Ctrl-C ends everything.
"""


def instructions(ports: DemoPorts, marathons: Sequence[str], directory: Path, echo: int | None) -> str:
    """
    Return the text about what to try.

    :param marathons: addresses of real Marathons; empty where a small one runs.
    :param echo: the service port of the sample's echo; None where other apps run.
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
