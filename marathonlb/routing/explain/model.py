"""Explanations as values, and as text for people; the API gives the values as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import frozen


@frozen
class RuleSeen:
    """
    One rule of a shared frontend.

    :param map: the map file that holds it; empty if it is an ACL.
    :param key: the entry's key; of an ACL its hosts and paths.
    :param own: label or file of a template that replaces the rule's text, which may route differently.
    :param order: why it is asked after the rule that catches the request; empty for that one.
    """

    map: str
    key: str
    app_id: str
    port_index: int
    backend: str
    own: str = ""
    order: str = ""

    def __str__(self) -> str:
        where = f"{self.map}: {self.key}" if self.map else f"ACL: {self.key}"
        return f"{where} → {self.backend} ({self.app_id} port {self.port_index})"


@frozen
class ServerSeen:
    """
    One server of a backend.

    :param health: what Marathon says of the task: ``alive``, ``not alive`` or ``unknown`` (no result).
    :param drained: it gets no new sessions.
    """

    name: str
    address: str
    port: int
    task_id: str
    health: str
    drained: bool

    def __str__(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        drained = ", drained: it gets no new sessions" if self.drained else ""
        return f"{self.name} at {address}:{self.port}, {self.health}{drained}"


@frozen
class LeftOut:
    """A task that is not a server, with the reason."""

    task_id: str
    reason: str


@frozen
class Reason:
    """
    One reason why something is not served, or not where it is expected.

    :param kind: ``marathon`` (there is no such app), ``own`` (the load balancer's), ``group``/``disabled`` together as
        ``selection``, ``problem`` (a label, a collision), ``policy``, ``quarantine``, ``tasks``, ``path``, ``host``
        (the Host header itself), ``frontend`` or ``template``; ``pin`` where all of this is for the time after a pin.
    :param app_id: the app concerned; empty if there is none.
    """

    kind: str
    words: str
    app_id: str = ""
    port_index: int | None = None

    def __str__(self) -> str:
        if not self.app_id:
            return self.words
        where = self.app_id if self.port_index is None else f"{self.app_id} port {self.port_index}"
        return f"{where}: {self.words}"


@frozen
class ServiceSeen:
    """
    One service as HAProxy is to run it.

    :param app_id: of a deployment group its name, as an id.
    :param apps: the apps whose tasks are behind it.
    :param bind: where its own frontend listens (``*:10000``); empty if it has none.
    :param rules: the rules of the shared frontends that lead to it.
    :param remarks: what else happens to a request: a redirect, a password, a list of networks.
    :param problems: what its owner should correct.
    """

    app_id: str
    port_index: int
    service_port: int
    bind: str
    backend: str
    mode: str
    balance: str
    apps: tuple[str, ...] = ()
    servers: tuple[ServerSeen, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    rules: tuple[RuleSeen, ...] = ()
    remarks: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@frozen
class Explanation:
    """
    The whole answer.

    :param question: as it was understood.
    :param kind: ``url``, ``app`` or ``port``.
    :param verdict: the answer in one sentence.
    :param served: true if a request would find a server now.
    :param rule: the rule that catches a URL; None if none does, or if no rule is asked.
    :param beaten: the other rules that match, in the order of their priority.
    :param reasons: the reasons why nothing is served, or other faults to correct.
    :param near: names that are similar to the one in the question.
    """

    question: str
    kind: str
    verdict: str
    served: bool = False
    rule: RuleSeen | None = None
    beaten: tuple[RuleSeen, ...] = ()
    services: tuple[ServiceSeen, ...] = ()
    reasons: tuple[Reason, ...] = ()
    near: tuple[str, ...] = ()


def render(explanation: Explanation) -> str:
    """Return an explanation as text: the verdict first, then its evidence."""
    return "\n".join(_lines(explanation)) + "\n"


def _lines(explanation: Explanation) -> Iterator[str]:
    yield f"{explanation.question}: {explanation.verdict}"
    if explanation.rule:
        yield f"  rule    {explanation.rule}"
        if explanation.rule.own:
            yield f"          its text is {explanation.rule.own}, which may say something else"
    for rule in explanation.beaten:
        yield f"  before  {rule}: {rule.order}"
    for service in explanation.services:
        yield from _service(service, with_rules=explanation.rule is None)
    yield from (f"  reason  {reason}" for reason in explanation.reasons)
    if explanation.near:
        yield f"  nearest {', '.join(explanation.near)}"


def _service(service: ServiceSeen, *, with_rules: bool) -> Iterable[str]:
    bind = f"listens on {service.bind}" if service.bind else "has no port of its own"
    group = f", which is {' and '.join(service.apps)}" if service.apps not in ((), (service.app_id,)) else ""
    yield f"  service {service.app_id} port {service.port_index}{group}: {bind}"
    yield f"  backend {service.backend}, mode {service.mode}, balance {service.balance}"
    if with_rules:
        yield from (f"  rule    {rule}" for rule in service.rules)
    yield from (f"  server  {server}" for server in service.servers)
    yield from (f"  no server for task {task.task_id}: {task.reason}" for task in service.left_out)
    yield from (f"  note    {remark}" for remark in service.remarks)
    yield from (f"  problem {problem}" for problem in service.problems)
