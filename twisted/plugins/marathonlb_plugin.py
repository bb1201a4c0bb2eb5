"""``twistd marathon-lb``."""

from twisted.application.service import ServiceMaker

marathonlb = ServiceMaker(
    "marathon-lb",
    "marathonlb.tap",
    "Keeps HAProxy in step with what Marathon runs.",
    "marathon-lb",
)
