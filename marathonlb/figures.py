"""Figures as people read them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from markupsafe import Markup, escape

MINUTE, HOUR, DAY = 60, 3600, 86400
"""In seconds."""

_KINDS = {"quarantine": "refused by HAProxy", "template": "operator"}

_SIZES = ("B", "kB", "MB", "GB", "TB")


def duration(seconds: float) -> str:
    """How long something took, with two or three digits that count, but none that were not measured."""
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
    """How long ago something was; the script of the pages says it in the same words."""
    if seconds < 1:
        return "now"
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {name} ago"
    return f"{int(seconds)} s ago"


def iso(seconds: float) -> str:
    """A time since the epoch as machines read it: UTC, to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(seconds: float) -> str:
    """A time since the epoch as people read it: UTC, to the second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def seconds_of(text: str) -> float | None:
    """A time of ISO 8601 in seconds since the epoch; None where it is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def number(value: int) -> str:
    """A whole number, its thousands apart."""
    return f"{value:,}"


def size(count: float) -> str:
    """So many bytes."""
    for unit in _SIZES[:-1]:
        if count < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 99.95 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} {_SIZES[-1]}"


def plural(count: int, one: str, many: str = "") -> str:
    """A number with its word: ``1 service``, ``2 services``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def kind(name: str) -> str:
    """The kind of a problem: whose it is, or who says so."""
    return _KINDS.get(name, name)


def prose(text: str) -> Markup:
    """Return plain text as HTML in which the words between backticks are code."""
    parts = text.split("`")
    return Markup().join(
        Markup("<code>{}</code>").format(p) if n % 2 else escape(p) for n, p in enumerate(parts)
    )


def visible(text: str) -> str:
    """
    What a text holds that would not be seen, or would turn its neighbours around, written out (``\\u202e``).

    Lines and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def finalized(value: object) -> object:
    """What a template is given, `visible` where it is somebody's text and not markup already."""
    return visible(value) if type(value) is str else value
