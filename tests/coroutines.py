"""Test methods that are coroutines."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred


def coroutine(method: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Deferred[None]]:
    """Return a test method for trial that returns a Deferred."""

    def test(self: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(method(self))

    test.__name__, test.__doc__ = method.__name__, method.__doc__
    return test
