"""The Beam side of a model: cache, then engine, then cache, as a RunInference ModelHandler.

One element is a shard's requests; the misses among them go to the engine as one batch. The engine is
made at the first miss: a run that finds all its answers in the cache never loads a model.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from apache_beam.metrics import Metrics
from apache_beam.ml.inference.base import ModelHandler
from tqdm import tqdm

from transforms.errors import UserError, mark
from transforms.inference.cache import Cache
from transforms.inference.engine import Completion, Engine, Failure, Model, Request, Response, TokenScores
from transforms.shards import Answers, Batch

_NO_ANSWER = Failure("engine_error", "the engine gave no answer")

_SHAPE = "{{desc}}: {{n_fmt}}/{{total_fmt}} requests{{postfix}} [{{elapsed}} gone{left}]"


class LazyEngine:
    """Makes the engine when it is first wanted."""

    def __init__(self, model: Model, folder: str):
        self._model, self._folder = model, folder
        self._engine: Engine | None = None

    def get(self) -> Engine:
        """The engine. Raises ModelError if the model cannot be loaded."""
        if self._engine is None:
            started = time.monotonic()
            if self._model.engine != "fake":
                _say(f"loading {self._model.model} into {self._model.engine} (up to a minute) …")
            self._engine = load_engine(self._model, self._folder)
            _count("engines_started", 1)
            _count("engine_seconds_start", round(time.monotonic() - started))
        return self._engine


def load_engine(model: Model, folder: str) -> Engine:
    """The engine for `model`, whose files are in `folder` (or a hub id). Imports only that engine's library."""
    if model.engine == "vllm":
        from transforms.inference.vllm import VllmEngine

        return VllmEngine(model, folder)
    if model.engine == "transformers":
        from transforms.inference.transformers import TransformersEngine

        return TransformersEngine(model, folder)
    from transforms.inference.fake import FakeEngine

    return FakeEngine(model)


class EngineHandler(ModelHandler[Batch, Answers, LazyEngine]):
    """Answers batches of requests from the cache and the model.

    Args:
        model: the engine's configuration.
        folder: the model's folder, or its hub id.
        cache: where answers are kept.
        label: the stage, shown with the progress.
        num_requests: how many requests are to come in all, for the progress.
    """

    def __init__(self, model: Model, folder: str, cache: Cache, label: str, num_requests: int):
        super().__init__()
        self._model, self._folder, self._cache = model, folder, cache
        self._label, self._num_requests = label, num_requests
        self._bar: Progress | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """What tells the model from others."""
        return self._cache.identity

    def load_model(self) -> LazyEngine:
        """Nothing yet; see LazyEngine."""
        return LazyEngine(self._model, self._folder)

    def batch_elements_kwargs(self) -> Mapping[str, Any]:
        """A shard is a batch already."""
        return {"min_batch_size": 1, "max_batch_size": 1}

    def run_inference(
        self, batch: Sequence[Batch], model: LazyEngine, inference_args: dict[str, Any] | None = None
    ) -> Iterable[Answers]:
        """One Answers for each Batch."""
        if self._bar is None:
            self._bar = Progress(self._label, self._num_requests)
        try:
            return [Answers(shard, self._answer(requests, model)) for shard, requests in batch]
        except UserError as error:
            raise RuntimeError(mark(error)) from error

    def _answer(self, rows: list[Sequence[Request]], model: LazyEngine) -> list[list[Response]]:
        bar = self._bar
        assert bar is not None
        keyed = [[(self._cache.key(request), request) for request in row] for row in rows]
        wanted = {key: request for row in keyed for key, request in row}  # each distinct request once
        known = {key: found for key, request in wanted.items() if (found := self._cache.get(request)) is not None}
        missing = {key: request for key, request in wanted.items() if key not in known}
        num_requests = sum(len(row) for row in rows)
        num_cached = sum(key in known for row in keyed for key, _ in row)
        _count("requests", num_requests)
        _count("cache_hits", num_cached)
        bar.cached(num_cached)
        bar.repeated(num_requests - num_cached - len(missing))
        if missing:
            known.update(self._ask(missing, model, bar))
        return [[known.get(key, _NO_ANSWER) for key, _ in row] for row in keyed]

    def _ask(self, missing: dict[str, Request], model: LazyEngine, bar: Progress) -> dict[str, Response]:
        engine = model.get()
        keys = list(missing)
        answers: dict[str, Response] = {}
        bar.asking()
        started = time.monotonic()
        for position, response in engine.run(list(missing.values())):
            key = keys[position]
            answers[key] = response
            if isinstance(response, Failure):
                _count("failures", 1)
            else:
                self._cache.put(missing[key], response)
                _count("tokens", num_tokens(response))
                _count("prompt_tokens", response.num_prompt_tokens if isinstance(response, Completion) else 0)
            bar.answered(response)
        _count("asked", len(missing))
        _count("engine_seconds_run", round(time.monotonic() - started))
        return answers


def num_tokens(response: Response) -> int:
    """Tokens generated, or scored."""
    if isinstance(response, Completion):
        return response.num_tokens
    return len(response.starts) if isinstance(response, TokenScores) else 0


class Progress:
    """`generate: 34/144 requests, 12 from the cache, 79 tok/s, 4:12 left` on stderr; a line each 30 s where that is no terminal."""

    def __init__(self, label: str, total: int):
        self._tokens = self._failures = self._cached = 0
        self._started: float | None = None
        terminal = sys.stderr.isatty()
        self._answered = 0
        self._bar = tqdm(
            total=total, desc=label, file=sys.stderr if terminal else _Lines(), bar_format=_SHAPE.format(left=""), dynamic_ncols=terminal,
            mininterval=0.5 if terminal else 30, maxinterval=1 if terminal else 30, leave=True,
        )  # fmt: skip

    def cached(self, count: int) -> None:
        """The cache answered `count` requests."""
        self._cached += count
        self.repeated(count)

    def repeated(self, count: int) -> None:
        """`count` requests need no model: the cache has them, or they are asked once for several rows."""
        self._bar.initial += count  # so that the time left counts only what is asked
        self._bar.update(count)
        self._refresh()

    def asking(self) -> None:
        """The engine is ready: time counts from here."""
        if self._started is None:
            self._started = time.monotonic()
            self._bar.start_t = self._bar.last_print_t = time.time()

    def answered(self, response: Response) -> None:
        """The model answered one request."""
        self._answered += 1
        if self._answered == 8:  # before, the time left would be a guess from the shortest answers
            self._bar.bar_format = _SHAPE.format(left=", {remaining} left")
        self._tokens += num_tokens(response)
        self._failures += isinstance(response, Failure)
        self._refresh()
        self._bar.update(1)
        if self._bar.total is not None and self._bar.n >= self._bar.total:
            self._bar.refresh()

    def _refresh(self) -> None:
        seconds = time.monotonic() - self._started if self._started else 0
        speed = f", {self._tokens / seconds:.0f} tok/s" if seconds > 1 else ""
        failed = f", {self._failures} failed" if self._failures else ""
        self._bar.set_postfix_str(f"{self._cached} from the cache{speed}{failed}", refresh=False)


class _Lines:
    """stderr that is not a terminal: each state of the bar becomes a line of its own."""

    def __init__(self) -> None:
        self._last = ""

    def write(self, text: str) -> None:
        stripped = text.strip("\r\n \x1b[A")
        if stripped and stripped != self._last:
            sys.stderr.write(stripped + "\n")
            self._last = stripped

    def flush(self) -> None:
        sys.stderr.flush()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _count(name: str, amount: int) -> None:
    Metrics.counter("engine", name).inc(amount)
