"""Small configurations for the tests of this wing."""

from __future__ import annotations

from marathonlb.config.text.model import DIRECTORY, Chunk, Config, MapEntry, Owner, Section

HEAD = Section("head", "", (Chunk("global\n  maxconn 100\n", Owner(template="HEAD")),))


def backend(name: str, *lines: str, app_id: str | None = None) -> Section:
    """A backend that one app wrote."""
    text = f"backend {name}\n" + "".join(f"  {line}\n" for line in lines)
    return Section("backend", name, (Chunk(text, Owner(app_id=app_id or f"/{name}", port_index=0)),))


def frontend(name: str, *lines: str) -> Section:
    """A frontend that is nobody's alone."""
    text = f"frontend {name}\n" + "".join(f"  {line}\n" for line in lines)
    return Section("frontend", name, (Chunk(text, Owner(template="HTTP_FRONTEND")),))


def entries(**pairs: str) -> tuple[MapEntry, ...]:
    """A map's entries."""
    return tuple(MapEntry(key, value, Owner(app_id=f"/{value}")) for key, value in pairs.items())


def config(*sections: Section, **pairs: str) -> Config:
    """A configuration whose frontend looks up one map."""
    routes = frontend("main", f"use_backend %[req.hdr(host),map({DIRECTORY}/domain2backend.map)]")
    return Config((HEAD, routes, *sections), {"domain2backend.map": entries(**pairs)})


A = config(backend("a", "server a1 10.0.0.1:80"), a="a")
B = config(backend("a", "server a1 10.0.0.2:80"), backend("b", "server b1 10.0.0.3:80"), a="a", b="b")
BAD = config(backend("a", "server a1 10.0.0.1:80"), backend("bad", "nonsense here"), a="a")


def processes(worker: int, *, reloads: int = 0, failed: int = 0, lived: int = 0, old: int = 0) -> str:
    """A reply to ``show proc``."""
    lines = [
        "#<PID>          <type>          <reloads>       <uptime>        <version>      ",
        f"1               master          {reloads} [failed: {failed}]   0d00h00m08s     2.8.25-5cf5d0683",
        "# workers",
        f"{worker}            worker          {lived}               0d00h00m08s     2.8.25-5cf5d0683",
    ]
    if old:
        lines += ["# old workers", f"{old}            worker          1               0d00h01m08s     2.8.25"]
    return "\n".join([*lines, "# programs", "", ""])
