"""What can be asked of a model, and what comes back.

    GenerateRequest(messages=(Message("user", "2 + 3 = ?"),), sampling=Sampling(), sample=0)
        → Completion(text="…", finish_reason="stop", num_prompt_tokens=31, num_tokens=12)
    ScoreRequest(messages=(Message("user", "2 + 3 = ?"),), text="5")
        → TokenScores(starts=(0,), ends=(1,), logprobs_nats=(-0.1,), entropies_nats=(0.3,))

What went wrong with one request is a `Failure` in its place, never an exception for the batch.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple

from pydantic import Field

from transforms.core.config import Config
from transforms.core.drops import Drop, DropReason, drop
from transforms.core.records import Message


class Sampling(Config):
    """How a completion is drawn. There is no per-request seed: what was generated is kept, not regenerated.

    `logprobs` asks for the log-probability of each token drawn, before temperature; it costs a few percent of time.
    """

    temperature: float = Field(0.7, ge=0, le=5)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int = Field(1024, ge=1)
    logprobs: bool = False

    def content(self) -> dict[str, Any]:
        """All that the answer depends on. `logprobs: false` is left out, as it was before there was a choice."""
        values = self.model_dump()
        return values if self.logprobs else {key: value for key, value in values.items() if key != "logprobs"}


def chat(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages as JSON values, as OpenAI's API and chat templates take them."""
    return [asdict(message) for message in messages]


@dataclass(frozen=True)
class GenerateRequest:
    """Asks for one completion. `sample` tells the k requests for the same messages apart.

    `schema` is a JSON schema as JSON text that the completion must fit (structured output), or "" for free text.
    `begun` is what the assistant has said so far: the completion goes on from there, and does not repeat it.
    """

    messages: tuple[Message, ...]
    sampling: Sampling
    sample: int
    schema: str = ""
    begun: str = ""

    def content(self) -> dict[str, Any]:
        """All that the answer depends on, as JSON values."""
        messages = chat(self.messages)
        content = {"kind": "generate", "messages": messages, "sampling": self.sampling.content(), "sample": self.sample}
        content |= {"schema": json.loads(self.schema)} if self.schema else {}
        return content | ({"begun": self.begun} if self.begun else {})


@dataclass(frozen=True)
class ScoreRequest:
    """Asks how likely each token of `text` is as the assistant's turn after `messages`.

    With `spans` (start, end) of characters, only the tokens that hold one of these characters are asked for.
    """

    messages: tuple[Message, ...]
    text: str
    spans: tuple[tuple[int, int], ...] | None = None

    def content(self) -> dict[str, Any]:
        """All that the answer depends on, as JSON values."""
        content = {"kind": "score", "messages": chat(self.messages), "text": self.text}
        return content | ({} if self.spans is None else {"spans": [list(span) for span in self.spans]})

    def wanted(self, tokens: TokenScores) -> list[int]:
        """Which tokens of the text are asked for, in order."""
        spans = ((0, len(self.text)),) if self.spans is None else self.spans
        return sorted({number for span in spans for number in tokens.held(*span)})


def asked_for(request: Request, response: Response) -> Response:
    """The response without the tokens before the first one that was asked for: of an answer after a long thinking a few."""
    if not isinstance(request, ScoreRequest) or not isinstance(response, TokenScores):
        return response
    return response.since(next(iter(request.wanted(response)), 0))


def turn(prompt: str, text: str) -> ScoreRequest:
    """Asks for all tokens of `text` as the answer to `prompt`."""
    return ScoreRequest((Message("user", prompt),), text)


@dataclass(frozen=True)
class Completion:
    """A model's answer. `finish_reason` is "stop" or "length"; `sum_logprob_nats` is over its tokens, where asked for.

    `reasoning` is what a server gives beside the text (as `reasoning_content` or `reasoning`); "" where there is none.
    """

    text: str
    finish_reason: str
    num_prompt_tokens: int
    num_tokens: int
    sum_logprob_nats: float | None = None
    reasoning: str = ""


@dataclass(frozen=True)
class TokenScores:
    """One value a token of the text: characters `starts` to `ends`, log-probability, entropy of the distribution it came from.

    None stands where a value was not asked for, and for a first token with nothing before it. Where the entropies are
    lower bounds, `entropies_upper_nats` holds the upper ones; where they are exact it is empty. A text too long for the
    model was read in `num_windows` overlapping pieces, in which a token does not see all that is before it.
    """

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    logprobs_nats: tuple[float | None, ...]
    entropies_nats: tuple[float | None, ...]
    entropies_upper_nats: tuple[float | None, ...] = ()
    num_windows: int = 1

    def since(self, first: int) -> TokenScores:
        """The tokens from number `first` on."""
        return replace(
            self,
            starts=self.starts[first:],
            ends=self.ends[first:],
            logprobs_nats=self.logprobs_nats[first:],
            entropies_nats=self.entropies_nats[first:],
            entropies_upper_nats=self.entropies_upper_nats[first:],
        )

    def held(self, start: int, end: int) -> range:
        """The tokens that hold one of the characters `start` to `end`."""
        return range(bisect_right(self.ends, start), bisect_left(self.starts, end))


@dataclass(frozen=True)
class Failure:
    """Why one request has no answer. What is too long will always be; all else is asked again by the next run."""

    kind: Literal[
        "too_long",  # prompt and answer do not fit into the model's window
        "engine_error",
        "bad_request",  # the server refuses this request
        "bad_response",  # the server's answer cannot be read
        "rate_limited",
        "server_error",
        "timeout",
        "connection",
        "refused",  # the server ended the answer for its own reasons, as a content filter
        "not_json",  # the answer does not fit the schema
    ]
    message: str


def failed(id: str, stage: str, failure: Failure, method: str = "") -> Drop:
    """The drop of a row whose request failed."""
    reason = DropReason.TOO_LONG if failure.kind == "too_long" else DropReason.REQUEST_FAILED
    return drop(id, stage, reason, failure.message, method)


def too_long(num_prompt_tokens: int, max_tokens: int, max_model_len: int) -> Failure | None:
    """The failure of a request whose prompt leaves no room for `max_tokens`, or None."""
    if (room := max_model_len - num_prompt_tokens) >= max_tokens:
        return None
    return Failure(
        "too_long",
        f"a prompt of {num_prompt_tokens} tokens leaves {room} of {max_model_len}, max_tokens is {max_tokens}",
    )


Request = GenerateRequest | ScoreRequest
Response = Completion | TokenScores | Failure


_STOP = {"", "stop", "stop_sequence", "end_turn", "eos", "eos_token", "eos_found", "complete", "finished"}
_LENGTH = {"length", "max_tokens", "max_output_tokens", "model_length"}


def finish_reason(said: str | None) -> str:
    """ "stop" or "length", whatever a vendor calls it; something else as it is, in lower case."""
    word = (said or "").strip().lower()
    return "stop" if word in _STOP else "length" if word in _LENGTH else word


class Exchange(NamedTuple):
    """A request and what came back."""

    request: Request
    response: Response


def first_failure(exchanges: Sequence[Exchange]) -> Failure | None:
    """The first failure among what came back, or None."""
    return next((one.response for one in exchanges if isinstance(one.response, Failure)), None)
