"""
Where a request goes, by the rules of a configuration as `tests.fuzz.reader` reads it.

As much of HAProxy's language as our default templates speak; anything else is an error, so that no rule is passed over
in silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from attrs import evolve, frozen

from tests.fuzz.reader import Section, UnreadableError, Written

Value = str | int | bool | None


@frozen
class Request:
    """
    A request, or a connection.

    :param host: the Host header as it was sent.
    :param sni: the name in the TLS handshake; None where the connection is no TLS.
    :param frontend: the name of the frontend that took it.
    """

    host: str = ""
    path: str = "/"
    app_id: str = ""
    sni: str | None = None
    frontend: str = ""
    variables: tuple[tuple[str, Value], ...] = ()


@frozen
class Outcome:
    """
    What becomes of it.

    :param backend: the name of the backend, or the answer of the frontend.
    :param lines: what the backend says.
    """

    backend: str
    lines: tuple[tuple[str, ...], ...] = ()


NOBODY = Outcome("nobody listens")


class Routes:
    """The frontends and backends of a configuration."""

    def __init__(self, written: Written) -> None:
        self._written = written
        self._proxies: dict[str, Section] = {}
        self._binds: list[tuple[str, Section]] = []
        self._acls: dict[str, dict[str, list[Sequence[str]]]] = {}
        self._backends: dict[str, Section] = {}
        self._samples: dict[tuple[str, Request], Value] = {}
        for section in written.sections:
            if section.kind in ("backend", "listen"):
                self._backends.setdefault(section.name, section)
            if section.kind in ("frontend", "listen"):
                self._binds += [(words[0], section) for words in section.of("bind")]

    def connect(self, address: str, port: int, request: Request) -> Outcome:
        """Where a connection to an address of this machine goes; the most specific bind takes it."""
        taken = sorted(
            ((rank, section) for rank, section in self._listening(address, port)), key=lambda each: each[0]
        )
        return self.enter(taken[0][1], request) if taken else NOBODY

    def listeners(self, port: int) -> list[tuple[str, str]]:
        """Who listens on a port: the addresses and the sections' names."""
        found = []
        for where, section in self._binds:
            for each in where.split(","):
                host, colon, bound = each.rpartition(":")
                if colon and bound == str(port):
                    found.append((host, section.name))
        return found

    def _listening(self, address: str, port: int) -> Iterator[tuple[int, Section]]:
        wanted = ip_address(address)
        for where, section in self._binds:
            for each in where.split(","):
                host, colon, bound = each.rpartition(":")
                if not colon or bound != str(port):
                    continue
                host = host.strip("[]")
                if host in ("", "*", "0.0.0.0", "::"):
                    yield 2, section
                    continue
                try:
                    found = ip_address(host)
                except ValueError:
                    yield 1, section  # a name, which may be any address of this machine
                    continue
                found = getattr(found, "ipv4_mapped", None) or found
                if found == wanted or found.is_unspecified:
                    yield (2 if found.is_unspecified else 1), section

    def enter(self, section: Section, request: Request) -> Outcome:
        """What a frontend does with a request."""
        request = evolve(request, frontend=section.name)
        for line in section.lines:
            if line[:1] == ("http-request",):
                request, answer = self._rule(section, line[1:], request)
                if answer is not None:
                    return answer
        for words in section.of("use_backend"):
            if not self._holds(section, words[1:], request):
                continue
            name = self._filled(words[0], request)
            if name is None or name not in self._backends:
                return Outcome("503")  # what cannot be resolved ends the evaluation
            return self._follow(self._backends[name], request)
        for words in section.of("default_backend"):
            if words[0] in self._backends:
                return self._follow(self._backends[words[0]], request)
        return Outcome("503")

    def _follow(self, backend: Section, request: Request) -> Outcome:
        """Go on where a backend leads to a frontend of the same configuration."""
        for words in backend.of("server"):
            if words[1].startswith(("abns@", "unix@", "/")):
                behind = next((section for where, section in self._binds if where == words[1]), None)
                if behind is not None:
                    return self.enter(behind, request)
        return Outcome(backend.name, backend.lines)

    def _rule(
        self, section: Section, words: Sequence[str], request: Request
    ) -> tuple[Request, Outcome | None]:
        action = words[0]
        if action.startswith("set-var("):
            tail = _condition(words[2:])
            if self._holds(section, tail, request):
                variables = (*request.variables, (action[8:-1], self._sample(words[1], request)))
                return evolve(request, variables=variables), None
        elif action in ("deny", "return", "redirect", "reject"):
            tail = _condition(words[1:])
            if self._holds(section, tail, request):
                return request, Outcome(" ".join(words))
        elif action not in _PASSING and not action.startswith(_PASSING_PREFIXES):
            raise UnreadableError(f"http-request {' '.join(words)[:200]}")
        return request, None

    def _holds(self, section: Section, condition: Sequence[str], request: Request) -> bool:
        """Whether a condition holds; none always does."""
        if not condition:
            return True
        terms = [list[bool]()]
        negative = condition[0] == "unless"
        words = list(condition[1:])
        while words:
            word = words.pop(0)
            if word in ("or", "||"):
                terms.append([])
                continue
            inverted = word.startswith("!")
            word = word.removeprefix("!") or words.pop(0)
            if word == "{":
                end = words.index("}")
                found = self._matches(words[:end], request)
                del words[: end + 1]
            else:
                found = any(self._matches(test, request) for test in self._named(section, word))
            terms[-1].append(found != inverted)
        return any(all(term) for term in terms) != negative

    def _named(self, section: Section, name: str) -> list[Sequence[str]]:
        acls = self._acls.get(section.name)
        if acls is None:
            acls = self._acls[section.name] = {}
            for words in section.of("acl"):
                acls.setdefault(words[0], []).append(words[1:])
        if name not in acls:
            raise UnreadableError(f"{section.name}: there is no ACL {name[:200]}")
        return acls[name]

    def _matches(self, test: Sequence[str], request: Request) -> bool:
        method, fold = "", False
        values = list(test[1:])
        while values and values[0].startswith("-"):
            flag = values.pop(0)
            if flag == "-m":
                method = values.pop(0)
            elif flag == "-i":
                fold = True
            elif flag == "--":
                break
            else:
                raise UnreadableError(f"the flag {flag} of {' '.join(test)[:200]}")
        expression = test[0]
        for name in ("path_beg", "path_end", "path_sub"):
            if expression == name:
                expression, method = "path", name.removeprefix("path_")
        found = self._sample(expression, request)
        if method == "found":
            return found is not None
        if not values:
            return bool(found)
        if found is None:
            return False
        compare = _METHODS.get(method or "str")
        if compare is None:
            raise UnreadableError(f"the comparison of {' '.join(test)[:200]}")
        said = str(found).lower() if fold else str(found)
        return any(compare(said, value.lower() if fold else value) for value in values)

    def _filled(self, text: str, request: Request) -> str | None:
        """A backend's name, ``%[…]`` filled in."""
        if not text.startswith("%["):
            return text
        found = self._sample(text[2:-1], request)
        return None if found is None else str(found)

    def _sample(self, expression: str, request: Request) -> Value:
        """What an expression comes to; None where there is nothing."""
        if (expression, request) not in self._samples:
            self._samples[expression, request] = self._sampled(expression, request)
        return self._samples[expression, request]

    def _sampled(self, expression: str, request: Request) -> Value:
        calls = list(_calls(expression))
        value = self._fetch(*calls[0], request)
        for name, arguments in calls[1:]:
            if value is None:
                return None
            value = self._convert(name, arguments, value, request)
        return value

    def _fetch(self, name: str, arguments: str, request: Request) -> Value:
        header = arguments.partition(",")[0].lower()
        if name in ("hdr", "req.hdr", "req.fhdr"):
            held = {"host": request.host, "x-marathon-app-id": request.app_id}
            return held.get(header) or None
        if name == "var":
            return dict(request.variables).get(arguments)
        fetches: Mapping[str, Value] = {
            "path": request.path,
            "req.ssl_sni": request.sni,
            "ssl_fc_sni": request.sni,
            "ssl_fc": request.sni is not None,
            "fe_name": request.frontend,
            "str": arguments,
            "bool": arguments == "true",
            "so_id": 0,
            "nbsrv": 1,
            "src": "192.0.2.7",
            "method": "GET",
            "req.ssl_hello_type": 1,
            "always_true": True,
        }
        if name not in fetches:
            raise UnreadableError(f"the fetch {name}")
        return fetches[name]

    def _convert(self, name: str, arguments: str, value: Value, request: Request) -> Value:
        text = str(value)
        if name.startswith("map"):
            path, _, default = arguments.partition(",")
            found = _LOOKUPS[name](self._written.maps[path.rpartition("/")[2]], text)
            return found if found is not None else (default or None)
        if name == "concat":
            start, middle, end = (*arguments.split(","), "", "")[:3]
            return f"{text}{start}{dict(request.variables).get(middle) or ''}{end}"
        plain: Mapping[str, Callable[[], Value]] = {
            "host_only": lambda: _host_only(text),
            "lower": lambda: text.lower(),
            "rtrim": lambda: text.rstrip(arguments),
            "ltrim": lambda: text.lstrip(arguments),
            "regsub": lambda: re.sub(*_regsub(arguments), text, count=1),
        }
        if name not in plain:
            raise UnreadableError(f"the converter {name}")
        return plain[name]()


_PASSING = frozenset(
    "set-header add-header del-header set-path set-query set-uri replace-path replace-header disable-l7-retry auth"
    " capture set-log-level use-service".split()
)
_PASSING_PREFIXES = ("track-sc", "sc-", "set-src", "unset-var")

_METHODS: Mapping[str, Callable[[str, str], bool]] = {
    "str": lambda said, value: said == value,
    "beg": lambda said, value: said.startswith(value),
    "end": lambda said, value: said.endswith(value),
    "sub": lambda said, value: value in said,
    "int": lambda said, value: said == value,
    "bool": lambda said, value: said == value,
    "reg": lambda said, value: re.search(value, said) is not None,
}

_CALL = re.compile(r"([a-z0-9_.-]+)(\(((?:[^()]|\([^()]*\))*)\))?(,|\Z)")


def _calls(expression: str) -> Iterator[tuple[str, str]]:
    here = 0
    while here < len(expression):
        found = _CALL.match(expression, here)
        if found is None:
            raise UnreadableError(f"the expression {expression[:200]}")
        yield found[1], found[3] or ""
        here = found.end()


def _condition(words: Sequence[str]) -> Sequence[str]:
    """The condition at the end of a rule."""
    for index, word in enumerate(words):
        if word in ("if", "unless"):
            return words[index:]
    return ()


def _host_only(header: str) -> str:
    """A Host header without its port, as HAProxy cuts it off."""
    end = header.rfind(":")
    return header[:end] if end >= 0 and "]" not in header[end:] else header


def _regsub(arguments: str) -> tuple[str, str]:
    pattern, _, rest = arguments.partition(",")
    return pattern.strip("'\""), rest.partition(",")[0].strip("'\"")


def _longest(entries: Sequence[tuple[str, str]], text: str) -> str | None:
    found: tuple[str, str] | None = None
    for key, value in entries:
        if text.startswith(key) and (found is None or len(key) > len(found[0])):
            found = key, value
    return found[1] if found else None


_LOOKUPS: dict[str, Any] = {
    "map": lambda entries, text: next((value for key, value in entries if key == text), None),
    "map_str": lambda entries, text: next((value for key, value in entries if key == text), None),
    "map_beg": _longest,
    "map_end": lambda entries, text: next((value for key, value in entries if text.endswith(key)), None),
}
