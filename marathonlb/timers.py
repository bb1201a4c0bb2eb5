"""What is to be done later, by name: of one name there is one thing, the last."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Alarms:
    """Calls of one clock that nobody has to keep."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._calls: dict[str, IDelayedCall] = {}

    def set(self, name: str, seconds: float, act: Callable[[], object]) -> None:
        """Do something after so many seconds, in place of what this name stood for."""

        def ring() -> None:
            del self._calls[name]
            act()

        self.forget(name)
        self._calls[name] = self._clock.callLater(max(0.0, seconds), ring)

    def forget(self, name: str) -> None:
        """Do not do it."""
        call = self._calls.pop(name, None)
        if call is not None:
            call.cancel()

    def clear(self) -> None:
        """Do nothing of it all."""
        for name in list(self._calls):
            self.forget(name)

    def __contains__(self, name: str) -> bool:
        return name in self._calls
