"""Records for tests, with what a test does not care about filled in."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from transforms.answers.final import final_answer
from transforms.core.records import Arithmetic, Decision, Problem, Pruned, Rechecked, SegmentedTrace, asked
from transforms.inference.dialogue import Dialogue, play
from transforms.inference.requests import Exchange, Response
from transforms.steps.splitting import split_steps
from transforms.steps.versions import Version


def problem(answer: str = "5", kind: str = "math", question: str = "What is 2 + 3?", **more: Any) -> Problem:
    """A problem; `math` unless said otherwise."""
    values = {"id": "p-0", "source": "test", "family": "test", "entry": ""} | more
    return Problem(turns=asked(question), answer=answer, answer_kind=kind, **values)


def segmented(
    thinking: str,
    response: str = "So it is \\boxed{5}.",
    given: Problem | None = None,
    unit: Any = "paragraph",
    id: str = "p-0/0",
    prompt: str = "What is 2 + 3?",
) -> SegmentedTrace:
    """A trace in steps."""
    given = given or problem()
    answer, steps = final_answer(response, given), split_steps(thinking, unit)
    return SegmentedTrace(id, given, "teacher", prompt, thinking, response, answer, steps)


def answering(trace: SegmentedTrace, response: str, given: Problem | None = None) -> SegmentedTrace:
    """The trace with another response, and with what that states as its answer."""
    given = given or trace.problem
    return replace(trace, response=response, problem=given, answer=final_answer(response, given))


def version(trace: SegmentedTrace, decisions: tuple[Decision, ...] | None = None, method: str = "m") -> Version:
    """A method's version of the trace, of which all is kept unless said otherwise."""
    kept = tuple(Decision(step, "keep", method) for step in range(len(trace.steps)))
    return Version(trace, Pruned(trace.id, method, "1", kept if decisions is None else decisions))


def rechecked(id: str, status: str = "passed", **more: Any) -> Version:
    """A re-checked version of a trace of one step that is kept; what is given may belong to its trace, the method or the re-check."""
    found = Rechecked(
        id=id, method="keep_all", status=status, reason="", outcome="correct", given_back=(), mended=(), dangling=(),
        arithmetic=Arithmetic(), num_checks=1, supported=True, answer_loglik_before_nats_per_token=-1.0,
        answer_loglik_pruned_nats_per_token=-1.0, answer_loglik_without_nats_per_token=-2.0,
        support_before_nats_per_token=-1.0, support_pruned_nats_per_token=-1.0, support_after_nats_per_token=-1.0,
        completion_rate=math.nan, num_tokens_before=9, num_tokens_pruned=9, num_tokens_after=9,
        mean_logprob_after_nats_per_token=-0.5,
    )  # fmt: skip
    trace = segmented("So 5.", "It is 5.", problem(""), id=id, prompt="?")
    return changed(replace(version(trace, method="keep_all"), rechecked=found), **more)


def changed(given: Version, **more: Any) -> Version:
    """The version with other facts, each where it belongs."""
    parts = {}
    for name in ("trace", "pruned", "rechecked"):
        part = getattr(given, name)
        parts[name] = replace(part, **{key: value for key, value in more.items() if hasattr(part, key)})
    unknown = [key for key in more if not any(hasattr(part, key) for part in parts.values())]
    assert not unknown, unknown
    return Version(**parts)


def played(talk: Dialogue[Any], answer: Callable[[Any], Response]) -> Any:
    """What a dialogue ends with where `answer` says what comes back for each request."""
    (found,) = play([talk], lambda asked: [[Exchange(one, answer(one)) for one in row] for row in asked])
    return found


class Seen:
    """A re-checked version whose facts can be asked for without saying whose they are: `.status`, `.final`, `.decisions`."""

    def __init__(self, of: Version):
        self.version = of

    def __getattr__(self, name: str) -> Any:
        places = (self.version.rechecked, self.version.pruned, self.version.trace, self.version)
        return next(getattr(place, name) for place in places if hasattr(place, name))
