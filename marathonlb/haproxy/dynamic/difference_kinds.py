"""Differences between two configurations, by what the runtime API can do about them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from attrs import field, frozen

from marathonlb.config.text.diff import MAP, Difference, Fate
from marathonlb.config.text.model import Config, Section
from marathonlb.config.text.named_defaults import PREFIX


@frozen
class DifferenceKinds:
    """
    Differences, sorted.

    :param changed: backends that run and are wanted, by name, each with both sections.
    :param new: backends that may be created.
    :param gone: backends that may be withdrawn.
    :param maps: maps whose entries differ.
    :param others: what only a reload does. The ``defaults`` from which backends are created need none: the worker
        keeps what it has read of them, and no section inherits from them.
    """

    changed: dict[str, tuple[Section, Section]] = field(factory=dict)
    new: list[Difference] = field(factory=list)
    gone: list[Difference] = field(factory=list)
    maps: list[Difference] = field(factory=list)
    others: list[Difference] = field(factory=list)

    @classmethod
    def of(cls, found: Iterable[Difference], *, creates_backends: bool) -> DifferenceKinds:
        """
        Sort differences.

        :param creates_backends: whether this HAProxy creates and deletes whole backends at runtime.
        """
        self = cls()
        for difference in found:
            if difference.kind == "backend" and difference.old is not None and difference.new is not None:
                self.changed[difference.name] = (difference.old, difference.new)
            elif difference.kind == "backend" and creates_backends:
                (self.gone if difference.new is None else self.new).append(difference)
            elif difference.kind == MAP and difference.fate is Fate.CHANGED:
                self.maps.append(difference)
            elif difference.kind != "defaults" or not difference.name.startswith(PREFIX):
                self.others.append(difference)
        return self

    def withdrawable(self, wanted: Config) -> tuple[str, ...]:
        """Return the backends that go, if the wanted configuration mentions none of them; else none."""
        names = tuple(difference.name for difference in self.gone)
        return names if unmentioned(names, wanted) else ()


def unmentioned(names: Iterable[str], config: Config) -> bool:
    """Return whether a configuration mentions none of these backends, so that HAProxy could read it without them."""
    text = config.template if names else ""
    return not any(
        name in text and re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", text) for name in names
    )


def leaves_alone_what_serves(differences: Iterable[Difference]) -> bool:
    """
    Return whether a reload for these leaves alone all that serves now: sections come and go, and none changes.

    Then maps may name what is there already before it.
    """
    return all(
        difference.kind in ("frontend", "backend", "userlist") and difference.fate is not Fate.CHANGED
        for difference in differences
    )


def only_adds_ways(differences: Iterable[Difference]) -> bool:
    """Return whether a reload for these only adds frontends, with the users that they ask for passwords."""
    return all(
        difference.kind in ("frontend", "userlist") and difference.fate is Fate.NEW
        for difference in differences
    )
