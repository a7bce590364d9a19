"""How likely the scorer finds an answer after some thinking: log p(answer | question, thinking).

The thinking, a blank line, and the same few words for all traces are put before the answer; its log-likelihood is the sum over the tokens
that hold a character of it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple, cast

from transforms.inference.requests import Exchange, ScoreRequest, TokenScores, turn

JOIN = "\n\n"  # between thinking and answer in the scored text
_STATEMENT = ("The final answer is \\boxed{", "}.")
_PROGRAM = ("```python\n", "\n```")


class Likelihood(NamedTuple):
    """Sum of the log-probabilities of an answer's tokens in nats, and their number; NaN and 0 where it is not known."""

    sum_nats: float
    num_tokens: int

    @property
    def per_token(self) -> float:
        """Nats per token of the answer."""
        return self.sum_nats / self.num_tokens if self.num_tokens else math.nan


UNKNOWN = Likelihood(math.nan, 0)


def answer_request(prompt: str, thinking: str, answer: str, kind: str) -> ScoreRequest:
    """Asks for the tokens of `answer` where it is stated after the thinking."""
    given, after = statement(thinking, kind), (_PROGRAM if kind == "code" else _STATEMENT)[1]
    return replace(turn(prompt, given + answer + after), spans=((len(given), len(given + answer)),))


def statement(thinking: str, kind: str) -> str:
    """The thinking, and then the words that the answer follows."""
    before = (_PROGRAM if kind == "code" else _STATEMENT)[0]
    return f"{thinking.strip()}{JOIN}{before}" if thinking.strip() else before


def likelihood(exchange: Exchange) -> Likelihood:
    """That of the answer, from the scorer's answer to `answer_request`."""
    request, tokens = cast("ScoreRequest", exchange.request), exchange.response
    if not isinstance(tokens, TokenScores):
        return UNKNOWN
    ((start, end),) = request.spans or ((0, len(request.text)),)
    found = [
        value for value in (tokens.logprobs_nats[number] for number in tokens.held(start, end)) if value is not None
    ]
    return Likelihood(math.fsum(found), len(found))
