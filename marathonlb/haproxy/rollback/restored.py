"""
A configuration of the past with today's tasks. Pure.

An operator who rolls back wants the old text: routes, options, templates. The old *servers* would be useless, since
tasks have moved meanwhile, and dangerous: the address and port of a task that has ended may be another app's by now. So
each backend gets today's servers, written as the old configuration wrote its own; everything else is the old text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from marathonlb.config.text.diff import Difference, split
from marathonlb.config.text.model import DIRECTORY, Chunk, Config, Owner, Section
from marathonlb.config.text.server_lines import parse_server
from marathonlb.haproxy.files.publish import Published

Alive = Callable[[str, str, int], bool]
"""A backend's name, an address and a port → True if a task of the backend's app runs there."""

Key = tuple[str, str]

_OWN = ("id", "weight", "cookie", "port")
"""The arguments of a ``server`` line whose value differs from server to server."""

_UNCLEAN = re.compile(r"[^A-Za-z0-9-]", re.ASCII)
_QUOTES = re.compile(r"[\\\"'#]")


class RestoredConfig:
    """
    One configuration of the past.

    :param directory: the directory of today's map files.
    """

    def __init__(self, published: Published, directory: str) -> None:
        self._directory = directory
        self._config = _together(split(_movable(published), published.maps))
        self._served: dict[int, tuple[Section, Section]] = {}
        self._made: tuple[Config, Config] | None = None
        self._places: dict[Key, tuple[Section, int, int]] = {}

    def with_tasks_of(self, today: Config, alive: Alive) -> Config:
        """
        Return this configuration with today's tasks.

        :param today: the configuration that would run without the pin.
        :param alive: returns whether a server is still a task, for a backend that is not in `today`.
        :return: `today` itself if nothing differs.
        """
        config = self._with_changes(today, alive) or self._from_scratch(today, alive)
        self._made = today, config
        return config

    def _from_scratch(self, today: Config, alive: Alive) -> Config:
        todays = {(section.kind, section.name): section for section in today.sections}
        head, rest = self._head(today, todays)
        sections = [*head]
        self._places = {}
        alone = len(todays) == len(today.sections)
        for number, section in enumerate(rest):
            key = section.kind, section.name
            alone = alone and (key in todays or section.kind != "backend") and key not in self._places
            self._places[key] = section, number, len(sections)
            sections.append(self._section(number, section, todays.get(key), alive))
        if not alone:  # any change may end a task of a backend that is not in `today`
            self._places = {}
        pairs = zip(sections, today.sections, strict=False)
        alike = len(sections) == len(today.sections) and all(one is other for one, other in pairs)
        if alike and _pairs(self._config) == _pairs(today):
            return today
        return Config(tuple(sections), self._config.maps)

    def _with_changes(self, today: Config, alive: Alive) -> Config | None:
        """Change only the backends that differ from the last time; return None if more differs."""
        if self._made is None or not self._places:
            return None
        before, made = self._made
        changed = () if today is before else today.places_that_differ(before)
        if changed is None:
            return None
        sections: dict[int, Section] = {}
        alike = made is before
        for at in changed:
            section = today.sections[at]
            key = section.kind, section.name
            if key != (before.sections[at].kind, before.sections[at].name) or section.kind != "backend":
                return None
            if key in self._places:
                old, number, place = self._places[key]
                sections[place] = self._section(number, old, section, alive)
                alike = alike and sections[place] is section
        if made is before:
            return today if alike else None
        return made.replace(sections) if sections else made

    def _head(self, today: Config, todays: Mapping[Key, Section]) -> tuple[list[Section], Sequence[Section]]:
        """Return the head, today's own if the text is the same, and the other sections."""
        past = self._config.sections
        head = today.sections[0] if today.sections and today.sections[0].kind == "head" else None
        if head is None:
            return [], past
        text, size = head.text.replace(DIRECTORY, self._directory), 0
        read = ""
        while size < len(past) and len(read) < len(text):
            read += past[size].text.replace(DIRECTORY, self._directory)
            size += 1
        if read == text:
            return [head], past[size:]
        parts = {(section.kind, section.name) for section in split(text, {})}
        size = 0
        while size < len(past) and _in_head(past[size], parts, todays):
            size += 1
        old = "".join(section.text for section in past[:size])
        return [Section("head", "", (Chunk(old, head.chunks[0].owner),))] if old else [], past[size:]

    def _section(self, number: int, section: Section, today: Section | None, alive: Alive) -> Section:
        if today is None:
            return _without_dead(section, alive) if section.kind == "backend" else section
        known = self._served.get(number)
        if known is None or known[0] is not today:
            known = self._served[number] = today, _with_servers_of(section, today)
        return known[1]


def _in_head(section: Section, parts: set[Key], todays: Mapping[Key, Section]) -> bool:
    """Return whether a section of the past belongs to its head, which may hold other sections than today's."""
    key = section.kind, section.name
    return key in parts or (key not in todays and section.kind not in ("userlist", "frontend", "backend"))


def _movable(published: Published) -> str:
    """Return the text with `DIRECTORY` in the paths of its map files, so that they are read from today's directory."""
    text = published.text
    for name in published.maps:
        text = re.sub(rf"/[^\s(),]*/{re.escape(name)}(?=[\s(),]|$)", f"{DIRECTORY}/{name}", text)
    return text


def _together(config: Config) -> Config:
    """Return the same text; empty lines and comments before a section become part of it, as the renderer has it."""
    sections: list[Section] = []
    ahead = ""
    for section in config.sections:
        end = _end(section.text)
        text, ahead = ahead + section.text[:end], section.text[end:]
        sections.append(Section(section.kind, section.name, (Chunk(text, Owner()),)))
    if ahead and sections:
        last = sections[-1]
        sections[-1] = Section(last.kind, last.name, (Chunk(last.text + ahead, Owner()),))
    return Config(tuple(sections), config.maps)


def _end(text: str) -> int:
    """Return the place at which a section's own lines end and those that belong to the next section begin."""
    end = place = len(text)
    while place:
        line = text.rfind("\n", 0, place - 1) + 1
        content = text[line:place].strip()
        if content and not content.startswith("#"):
            return end
        place = line
        end = end if content else line
    return end


def _pairs(config: Config) -> dict[str, list[tuple[str, str]]]:
    return {
        name: [(entry.key, entry.value) for entry in entries]
        for name, entries in config.maps.items()
        if entries
    }


def _lines(section: Section) -> list[str]:
    return section.text.splitlines(keepends=True)


def is_task(line: str) -> bool:
    """Return whether a line is a task's server: its name holds its address and port, unlike an operator's own."""
    if line.split(None, 1)[:1] != ["server"]:
        return False
    server = parse_server(line)
    return bool(server.port) and _UNCLEAN.sub("_", f"{server.address}_{server.port}") in server.name


def only_tasks_differ(difference: Difference) -> bool:
    """Return whether two texts of a backend are the same but for its tasks; costs what differs."""
    old, new = difference.old, difference.new
    if difference.kind != "backend" or old is None or new is None:
        return False
    return _only_tasks(old.text, new.text)


def alike(one: Published, other: Published) -> bool:
    """Return whether two configurations are the same but for their tasks."""
    return one.maps == other.maps and _only_tasks(one.text, other.text)


def _only_tasks(one: str, other: str) -> bool:
    """Return whether two texts have the same lines but for tasks, which are written alike."""
    before, after = set(one.splitlines()), set(other.splitlines())
    if not all(map(is_task, before ^ after)):
        return False
    come = {tuple(_shape(line)) for line in after - before}
    model = next(filter(is_task, before), None)
    if model is None or come <= {tuple(_shape(model))}:
        return True
    return come <= {tuple(_shape(line)) for line in before if is_task(line)}


def _with_servers_of(section: Section, today: Section) -> Section:
    """Return a section of the past with today's tasks; today's own section where the text is the same."""
    text = section.text
    if text == today.text:
        return today
    if section.kind == "backend":
        text = _with_tasks(_lines(section), [line for line in _lines(today) if is_task(line)])
    if text == today.text:
        return today
    return Section(section.kind, section.name, (Chunk(text, today.chunks[0].owner),))


def _with_tasks(lines: list[str], tasks: list[str]) -> str:
    """Return the lines of a backend with these tasks in place of its own."""
    old = [number for number, line in enumerate(lines) if is_task(line)]
    shapes = {tuple(_shape(lines[number])) for number in old}
    if len(shapes) == 1:
        tasks = [_written_like(lines[old[0]], line) for line in tasks]
    place = old[0] if old else len(lines)
    gone = set(old)
    kept = [line for number, line in enumerate(lines) if number not in gone]
    return "".join([*kept[:place], *tasks, *kept[place:]])


def _without_dead(section: Section, alive: Alive) -> Section:
    """Return a backend that no service offers today, with those of its tasks that still run."""
    kept: list[str] = []
    for line in _lines(section):
        if is_task(line):
            server = parse_server(line)
            if not alive(section.name, server.address, server.port):
                continue
        kept.append(line)
    text = "".join(kept)
    return section if text == section.text else Section(section.kind, section.name, (Chunk(text, Owner()),))


def _arguments(line: str) -> Iterable[tuple[str, str | None]]:
    """Yield the words after the address: an argument of `_OWN` with its value, any other word with None."""
    words = iter(line.split()[3:])
    for word in words:
        yield (word, next(words, "")) if word in _OWN else (word, None)


def _shape(line: str) -> list[str]:
    return [word for word, _ in _arguments(line) if word not in ("id", "weight")]


def _written_like(model: str, task: str) -> str:
    """
    Return a task's line with the arguments of another line.

    The task keeps its id and weight, and its cookie follows from its name. If it has no check port of its own, it is
    checked at the port that it serves.
    """
    if _shape(model) == _shape(task) or _QUOTES.search(model) or _QUOTES.search(task):
        return task
    own = {word: value for word, value in _arguments(task) if value is not None}
    words = task.split()[:3]
    words += [f"{word} {own[word]}" for word in ("id", "weight") if word in own]
    for word, value in _arguments(model):
        if value is None:
            words.append(word)
        elif word == "cookie":
            name = words[1]
            digest = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()[:10]
            words.append(f"cookie {own.get('cookie', digest)}")
        elif word == "port" and "port" in own:
            words.append(f"port {own['port']}")
    return f"  {' '.join(words)}\n"
