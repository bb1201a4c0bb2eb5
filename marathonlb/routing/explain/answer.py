"""
Answer a question about the routing: a URL, an app or a port.

The answers come from the rules that the configuration's text is made of, so they say what HAProxy does.
"""

from __future__ import annotations

from attrs import evolve

from marathonlb.problem_kinds.running import PINNED
from marathonlb.routing.explain.apps import explain_app
from marathonlb.routing.explain.evidence import State
from marathonlb.routing.explain.model import Explanation, Reason
from marathonlb.routing.explain.ports import explain_port
from marathonlb.routing.explain.question import AppQuestion, PortQuestion, Question
from marathonlb.routing.explain.urls import explain_url


def explain(question: Question, state: State) -> Explanation:
    """Return the answer to a question; while a configuration is pinned, the answer for the time after the pin."""
    answer = _answer(question, state)
    pinned = next((problem for problem in state.problems if problem.kind is PINNED), None)
    if pinned is None:
        return answer
    words = f"{pinned.reason}; this is the routing without the pin"
    verdict = f"without the pin: {answer.verdict}"
    return evolve(answer, verdict=verdict, reasons=(Reason("pin", words), *answer.reasons))


def _answer(question: Question, state: State) -> Explanation:
    if isinstance(question, PortQuestion):
        return explain_port(question, state)
    if isinstance(question, AppQuestion):
        return explain_app(question, state)
    return explain_url(question, state)
