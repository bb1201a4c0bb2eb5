"""``twistd minimarathon``."""

from twisted.application.service import ServiceMaker

minimarathon = ServiceMaker(
    "minimarathon",
    "minimarathon.tap",
    "A one-machine Marathon: its API, its events and local processes.",
    "minimarathon",
)
