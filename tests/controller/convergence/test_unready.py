"""Apps with tasks that are not ready are asked about again."""

from __future__ import annotations

from typing import Any

import msgspec

from marathonlb.controller.convergence.unready import READINESS
from marathonlb.marathon.model import App
from tests.reconciling import ReconcilerTestCase, web


def evolve_task(app: App, **changes: Any) -> App:
    """Return the app with a change of its only task."""
    (task,) = app.tasks
    return msgspec.structs.replace(app, tasks=(msgspec.structs.replace(task, **changes),))


class UnreadyAppsTests(ReconcilerTestCase):
    """The timer of the readiness checks."""

    def test_readiness(self) -> None:
        """An app with a task that is not ready is asked about again until it is, since no event tells."""
        waiting = evolve_task(web("shop", tasks=1), ready=False)
        self.begin(web("other", 10001), waiting)
        self.assertEqual(self.reconciler.planned.servers if self.reconciler.planned else 0, 1)
        self.clock.advance(READINESS)
        self.assertEqual(self.marathon.asked, ["/shop"])
        self.marathon.put(evolve_task(waiting, ready=True))
        self.clock.advance(READINESS)
        self.assertEqual(self.reconciler.planned.servers if self.reconciler.planned else 0, 2)
        asked = len(self.marathon.asked)
        self.clock.advance(READINESS)
        self.clock.advance(READINESS)
        self.assertEqual(len(self.marathon.asked), asked)
