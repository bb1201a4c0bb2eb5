"""What is wrong with one app's wishes: a value, not an exception, since it costs that service alone."""

from __future__ import annotations

from attrs import field, frozen

from marathonlb.masking import masked, masked_value

PIN = "pin"
"""In the place of a label: a configuration of the past is pinned, which is nobody's mistake and everybody's concern."""


@frozen
class Problem:
    """
    Something an app's owner should mend.

    :param app_id: whose it is.
    :param port_index: the index of the service port; None where it is the whole app's.
    :param label: the label's (or the field's) full name.
    :param value: what it holds; ``***`` in the place of what is secret, empty where it tells nothing.
    :param reason: what was expected, in words that its owner understands.
    :param fatal: takes the service out; otherwise it is served, and this is a warning.
    """

    app_id: str
    port_index: int | None
    label: str
    value: str = field(converter=masked_value)
    reason: str = field(converter=masked)
    fatal: bool = True

    def __str__(self) -> str:
        where = self.app_id if self.port_index is None else f"{self.app_id} port {self.port_index}"
        what = f"{self.label}={self.value!r}" if self.label and self.value else self.label
        return ": ".join(part for part in (where, what, self.reason) if part)
