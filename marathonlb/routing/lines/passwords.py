"""
The cost of password hashes. Pure.

HAProxy computes crypt(3) in its event loop, where all other requests wait meanwhile: for each request with the user's
name and a password, and once for each hash whenever it reads its configuration. So a hash is used only if its cost,
which follows from its text, is below ``--max-password-cost``.

The estimates are for an ordinary machine and the longest credentials that are compared (`LONGEST`), on which the cost
of most schemes depends; a password of 12 characters costs about half. docs/passwords.md has the figures.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from attrs import frozen

LONGEST = 180
"""Maximum length of an ``Authorization`` header that is compared with a hash: 129 characters of user and password."""

COMMAND = r'openssl passwd -6 -salt "rounds=1000\$$(openssl rand -hex 8)"'
"""The command for a hash that costs less than 1 ms; OpenSSL 1.1.1 and later take the rounds as part of the salt."""

LOCKED = f"$5$rounds=1000$nobody$signs.in.{'.' * 34}"
"""Replaces a hash that is not used: as cheap as possible, and of no known password."""

_BASE64 = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS = {character: number for number, character in enumerate(_BASE64)}

_ROUNDS = re.compile(r"rounds=([1-9][0-9]{3,8})\$", re.ASCII)
_SHA1 = re.compile(r"([1-9][0-9]{0,9})\$", re.ASCII)
_SUN = re.compile(r"(?:,rounds=([1-9][0-9]{0,9}))?\$", re.ASCII)
_BCRYPT = re.compile(r"(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{22}", re.ASCII)
_SCRYPT = re.compile(r"([./A-Za-z0-9])([./A-Za-z0-9]{5})([./A-Za-z0-9]{5})", re.ASCII)
_YESCRYPT = re.compile(r"j([./0-9A-Za-j])([./0-9A-Za-j])\$", re.ASCII)
_EXTENDED = re.compile(r"_([./A-Za-z0-9]{4})[./A-Za-z0-9]{15}", re.ASCII)
_HASH = re.compile(
    r"\$(?!apr1\$)[a-z0-9-]{1,20}(?:,rounds=[0-9]{1,10})?\$[A-Za-z0-9./$=,_+-]{1,230}"
    r"|_[A-Za-z0-9./]{19}|[A-Za-z0-9./]{13}",
    re.ASCII,
)
"""A hash of crypt(3): ``$ID$SALT$HASH``, or an older one of 20 or 13 characters; ``$apr1$`` is Apache's only."""

_SCHEME = re.compile(r"\$(?:(md5)(?=[,$])|([A-Za-z0-9-]{1,20})\$)", re.ASCII)


@frozen
class Unreadable(Exception):
    """A hash that no scheme of crypt(3) makes; ``reason`` continues a sentence that begins with the hash."""

    reason: str


def fault(passwd: str, most: float) -> str:
    """
    Return why a hash is not used; empty if it is.

    :param most: maximum cost in milliseconds.
    """
    try:
        cost = milliseconds(passwd)
    except Unreadable as error:
        return error.reason
    if cost <= most:
        return ""
    return f"costs HAProxy up to {_duration(cost)} for each password, more than the {most:g} ms of --max-password-cost"


def _duration(cost: float) -> str:
    """Return milliseconds in words."""
    if cost >= 600_000:
        return "many minutes"
    return f"{cost / 1000:.1f} s" if cost >= 1000 else f"{cost:.0f} ms" if cost >= 10 else f"{cost:.1f} ms"


Auth = tuple[str, str, str]
"""A realm, a user and a hash."""


def usable(auth: Auth, most: float) -> tuple[Auth, str]:
    """
    Return the credentials to write, and why no user can sign in with them; empty if users can.

    A hash that is not used is replaced by `LOCKED`, so that the host stays closed in every template that names the user
    list.

    :param most: maximum cost of the hash in milliseconds.
    """
    realm, user, passwd = auth
    wrong = fault(passwd, most)
    if wrong:
        locked = (realm, user, LOCKED)
        return locked, f"has a hash that {wrong}, so no user can sign in; `{COMMAND}` makes one"
    if not is_hash(passwd):
        return auth, f"has no crypt(3) hash behind the user, so no user can sign in; `{COMMAND}` makes one"
    return auth, ""


def is_hash(passwd: str) -> bool:
    """Return True if crypt(3) may have made this; HAProxy accepts other words too, which match no password."""
    return _HASH.fullmatch(passwd) is not None


def milliseconds(passwd: str) -> float:
    """Return the cost of one comparison with a hash, in milliseconds. Raises `Unreadable`."""
    if passwd.startswith("_"):
        return _extended_des(passwd)
    if not passwd.startswith("$"):
        return 0.02  # traditional DES, or no hash at all
    match = _SCHEME.match(passwd)
    scheme = (match[1] or match[2]) if match else ""
    cost = _COSTS.get(scheme)
    if match is None or cost is None:
        raise Unreadable("is of a crypt(3) scheme whose cost is not known")
    try:
        return cost(passwd[match.end() :])
    except ValueError:
        raise Unreadable(f"has parameters of ${scheme}$ whose cost is not known") from None


def _extended_des(passwd: str) -> float:
    match = _EXTENDED.fullmatch(passwd)
    if match is None:
        raise Unreadable("has parameters of an extended DES hash whose cost is not known")
    return 0.02 + 0.0001 * _little_endian(match[1])


def _fixed(cost: float) -> Callable[[str], float]:
    return lambda rest: cost


def _sha(per_round: float) -> Callable[[str], float]:
    """Return the cost function of SHA-crypt: 5,000 rounds unless the text says otherwise."""

    def cost(rest: str) -> float:
        match = _ROUNDS.match(rest)
        if match is None and rest.startswith("rounds="):
            raise ValueError
        return per_round * (int(match[1]) if match else 5000)

    return cost


def _sha1(rest: str) -> float:
    return 0.00095 * int(_first(_SHA1, rest))


def _sun(rest: str) -> float:
    match = _SUN.match(rest)
    if match is None:
        raise ValueError
    return 0.0021 * (4096 + int(match[1] or 0))


def _bcrypt(rest: str) -> float:
    return 0.048 * 2.0 ** int(_first(_BCRYPT, rest))


def _first(pattern: re.Pattern[str], rest: str) -> str:
    match = pattern.match(rest)
    if match is None:
        raise ValueError
    return match[1]


def _scrypt(rest: str) -> float:
    """Return the cost of scrypt: one character for the logarithm of N, then five each for r and p."""
    match = _SCRYPT.match(rest)
    if match is None:
        raise ValueError
    return 0.04 + 0.000325 * 2.0 ** _DIGITS[match[1]] * _little_endian(match[2]) * _little_endian(match[3])


def _yescrypt(rest: str) -> float:
    """Return the cost of yescrypt as crypt(3) makes it: one character each for flavour, logarithm of N, and r."""
    match = _YESCRYPT.match(rest)
    if match is None:
        raise ValueError
    return 0.04 + 0.000115 * 2.0 ** (_DIGITS[match[1]] + 1) * (_DIGITS[match[2]] + 1)


def _little_endian(text: str) -> int:
    return sum(_DIGITS[character] << 6 * place for place, character in enumerate(text))


_COSTS: Mapping[str, Callable[[str], float]] = {
    "1": _fixed(0.45),
    "2a": _bcrypt,
    "2b": _bcrypt,
    "2x": _bcrypt,
    "2y": _bcrypt,
    "3": _fixed(0.01),
    "5": _sha(0.00075),
    "6": _sha(0.00055),
    "7": _scrypt,
    "gy": _yescrypt,
    "md5": _sun,
    "sha1": _sha1,
    "y": _yescrypt,
}
