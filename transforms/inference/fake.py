"""An engine without a model: it does sums step by step, wrongly now and then, and scores words.

A number that was worked out earlier in the scored text ("= 17") is hardly surprising, so an answer is likely after a thinking
that derives it.

Everything is a function of the request, so a run can be repeated anywhere. A prompt without a sum gets
an answer without a final answer, as real teachers give them too.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from transforms.core.hashing import canonical_json
from transforms.core.seeding import unit_interval
from transforms.inference.models import FakeModel
from transforms.inference.requests import (
    Completion,
    Failure,
    GenerateRequest,
    Request,
    Response,
    ScoreRequest,
    TokenScores,
)

_SUM = re.compile(r"-?\d+(?:\s[-+]\s-?\d+)+")
_NUMBER = re.compile(r"\d+")
_WORD = re.compile(r"\s*\S+|\s+$")


class FakeEngine:
    """Answers sums; see the module's text."""

    def __init__(self, model: FakeModel):
        self._model = model

    def run(self, requests: Sequence[Request]) -> Iterator[tuple[int, Response]]:
        """One response a request, in order; each `batch` of them after `delay_seconds`."""
        for start in range(0, len(requests), self._model.batch):
            batch = requests[start : start + self._model.batch]
            self._log(batch)
            time.sleep(self._model.delay_seconds)
            for position, request in enumerate(batch, start):
                yield position, self._answer(request)

    def _log(self, batch: Sequence[Request]) -> None:
        if self._model.log:
            with open(self._model.log, "a", encoding="utf-8") as file:
                file.writelines(canonical_json(request.content()) + "\n" for request in batch)

    def _answer(self, request: Request) -> Response:
        chance = unit_interval(0, "fail", canonical_json(request.content()))
        if chance < self._model.fail_share:
            return Failure("engine_error", "the fake engine failed, as it was told to")
        return self._complete(request) if isinstance(request, GenerateRequest) else _score(request)

    def _complete(self, request: GenerateRequest) -> Completion:
        question, replies = request.messages[-1].content, self._model.replies
        right = unit_interval(0, "right", canonical_json(request.content())) < self._model.accuracy
        text = replies[request.sample % len(replies)] if replies else _solve(question, right)
        if request.schema and not replies:
            text = json.dumps(_fitting(json.loads(request.schema), canonical_json(request.content())))
        elif request.begun:
            text = text.rpartition("\\boxed{")[2]
        words = text.split(" ")
        kept = words[: request.sampling.max_tokens]
        logprob = -len(kept) * (0.2 if right else 0.6) if request.sampling.logprobs else None
        reason = "stop" if kept == words else "length"
        return Completion(" ".join(kept), reason, len(question.split()), len(kept), logprob)


def _solve(question: str, right: bool) -> str:
    found = _SUM.search(question)
    if found is None:
        return "I see no sum here, so I cannot say."
    terms = found[0].split()
    total, lines = int(terms[0]), [f"Start with {terms[0]}."]
    for sign, term in zip(terms[1::2], terms[2::2], strict=True):
        before, total = total, total + int(term) if sign == "+" else total - int(term)
        lines.append(f"{before} {sign} {term} = {total}")
    total += 0 if right else 1
    lines.append(f"Let me check: the terms are {', '.join(terms[::2])}, and their sum is {total}.")
    return "\n\n".join([*lines, f"The final answer is \\boxed{{{total}}}."])


def _fitting(schema: dict[str, Any], seed: str) -> Any:
    """A value that fits a schema of objects, enums and texts: which one is up to the seed."""
    if "properties" in schema:
        return {name: _fitting(inner, f"{seed} {name}") for name, inner in schema["properties"].items()}
    if "enum" in schema:
        return schema["enum"][int(unit_interval(0, "enum", seed) * len(schema["enum"]))]
    return "so"


def _surprisals(words: Iterable[str]) -> Iterator[float]:
    """Of each word in nats: up to its letters, but for numbers that were worked out before."""
    found: set[str] = set()
    before = ""
    for word in words:
        numbers = set(_NUMBER.findall(word))
        known = 0.02 if numbers and numbers <= found else 1
        found |= numbers if before == "=" else set()
        before = word
        yield round(known * (0.5 + 4 * unit_interval(0, "word", word)), 6)


def _score(request: ScoreRequest) -> TokenScores:
    words = [(found.start(), found.end(), found[0]) for found in _WORD.finditer(request.text)]
    surprisals = list(_surprisals(word.strip() for _, _, word in words))
    blank = (None,) * len(words)
    scores = TokenScores(tuple(start for start, _, _ in words), tuple(end for _, end, _ in words), blank, blank)
    wanted = set(request.wanted(scores))
    return replace(
        scores,
        logprobs_nats=tuple(-value if number in wanted else None for number, value in enumerate(surprisals)),
        entropies_nats=tuple(value + 0.5 if number in wanted else None for number, value in enumerate(surprisals)),
    )
