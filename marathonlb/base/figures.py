"""Numbers, durations and times as text for people. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from markupsafe import Markup, escape

MINUTE, HOUR, DAY = 60, 3600, 86400
"""Seconds of each."""

_KINDS = {"quarantine": "refused by HAProxy", "template": "operator"}

_SIZES = ("B", "kB", "MB", "GB", "TB")


def duration(seconds: float) -> str:
    """Return a duration with two or three significant digits, and none that was not measured."""
    if seconds <= 0:
        return "0 s"
    if isinstance(seconds, int) and seconds < MINUTE:
        return f"{seconds} s"
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 0.01:
        return f"{seconds * 1e3:.1f} ms"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.0f} ms"
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    for long, long_name, short, short_name in ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min")):
        if seconds >= long:
            whole, rest = divmod(int(seconds), long)
            return f"{whole} {long_name} {rest // short} {short_name}"
    whole, rest = divmod(int(seconds), MINUTE)
    return f"{whole} min {rest} s"


def ago(seconds: float) -> str:
    """Return how many seconds ago something happened; the script of the pages writes it the same way."""
    if seconds < 1:
        return "now"
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {name} ago"
    return f"{int(seconds)} s ago"


def iso(seconds: float) -> str:
    """Return a time since the epoch in ISO 8601, in UTC and to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(seconds: float) -> str:
    """Return a time since the epoch for people, in UTC and to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def seconds_of(text: str) -> float | None:
    """Return a time in ISO 8601 as seconds since the epoch; None if it is not one."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def number(value: int) -> str:
    """Return a whole number with its thousands separated."""
    return f"{value:,}"


def size(count: float) -> str:
    """Return a number of bytes with its unit."""
    for unit in _SIZES[:-1]:
        if count < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 99.95 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} {_SIZES[-1]}"


def plural(count: int, one: str, many: str = "") -> str:
    """Return a number with its noun: ``1 service``, ``2 services``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def kind(name: str) -> str:
    """Return the word for a kind of problems that the pages show."""
    return _KINDS.get(name, name)


def prose(text: str) -> Markup:
    """Return plain text as HTML in which the words between backticks are code."""
    parts = text.split("`")
    return Markup().join(
        Markup("<code>{}</code>").format(p) if n % 2 else escape(p) for n, p in enumerate(parts)
    )


def visible(text: str) -> str:
    """
    Return a text with its invisible characters, and those that reverse others, as escapes (``\\u202e``).

    Newlines and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def finalized(value: object) -> object:
    """Return a template's value; `visible` if it is text and no markup."""
    return visible(value) if type(value) is str else value
