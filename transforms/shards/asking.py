"""The Beam side of a model: cache, then engine, then cache, as a RunInference ModelHandler.

One element is a shard's requests; the misses among them go to the engine as one batch. The engine is
made at the first miss: a run that finds all its answers in the cache never loads a model.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from apache_beam.metrics import Metrics
from apache_beam.ml.inference.base import ModelHandler

from transforms.core.errors import UserError, mark
from transforms.inference.cache import Cache, Damaged
from transforms.inference.engines import Engine, load_engine
from transforms.inference.models import Model, has_weights
from transforms.inference.requests import Exchange, Failure, Request, Response, asked_for
from transforms.inference.structured import checked
from transforms.shards.mapping import Answers, Batch
from transforms.shards.progress import Progress, num_prompt_tokens, num_tokens

Again = Callable[[Sequence[Any], Sequence[list[Exchange]]], list[list[Request]]]
_NO_ANSWER = Failure("engine_error", "the engine gave no answer")


class LazyEngine:
    """Makes the engine when it is first wanted."""

    def __init__(self, model: Model, folder: str):
        self._model, self._folder = model, folder
        self._engine: Engine | None = None

    def get(self) -> Engine:
        """The engine. Raises ModelError if the model cannot be loaded."""
        if self._engine is None:
            started = time.monotonic()
            if has_weights(self._model):
                _say(f"loading {self._model.model} into {self._model.engine} (up to a minute) …")
            self._engine = load_engine(self._model, self._folder)
            _count("engines_started", 1)
            _count("engine_seconds_start", round(time.monotonic() - started))
        return self._engine


class EngineHandler(ModelHandler[Batch, Answers, LazyEngine]):
    """Answers batches of requests from the cache and the model.

    Args:
        model: the engine's configuration.
        folder: the model's folder, or its hub id.
        cache: where answers are kept.
        label: the stage, shown with the progress.
        num_rows: how many rows are to come in all, for the progress.
        requests_per_row: how many requests each is expected to have; the progress is corrected as they come.
        again: what to ask further, as `Job.again`.
    """

    def __init__(
        self,
        model: Model,
        folder: str,
        cache: Cache,
        label: str,
        num_rows: int,
        requests_per_row: int = 1,
        again: Again | None = None,
    ):
        super().__init__()
        self._model, self._folder, self._cache, self._again = model, folder, cache, again
        self._label, self._num_rows, self._per_row = label, num_rows, requests_per_row
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
            self._bar = Progress(self._label, self._num_rows * self._per_row, self._model)
        try:
            return [self._answer(one, model, self._bar) for one in batch]
        except UserError as error:
            raise RuntimeError(mark(error)) from error

    def _answer(self, batch: Batch, model: LazyEngine, bar: Progress) -> Answers:
        """Asks what the batch asks, and then what follows from the answers, until nothing does."""
        exchanges: list[list[Exchange]] = [[] for _ in batch.requests]
        asked = dict(enumerate(batch.requests))  # by row
        bar.more(sum(map(len, batch.requests)) - len(batch.requests) * self._per_row)
        while asked:
            for row, responses in zip(asked, self._responses(list(asked.values()), model, bar), strict=True):
                exchanges[row] += map(Exchange, asked[row], responses)
            if self._again is None:
                break
            further = self._again([batch.rows[row] for row in asked], [exchanges[row] for row in asked])
            asked = {row: more for row, more in zip(asked, further, strict=True) if more}
            num_more = sum(map(len, asked.values()))
            bar.more(num_more)
            _count("requests_again", num_more)
        return Answers(batch.shard, exchanges)

    def _responses(self, rows: list[Sequence[Request]], model: LazyEngine, bar: Progress) -> list[list[Response]]:
        keyed = [[(self._cache.key(request), request) for request in row] for row in rows]
        wanted = {key: request for row in keyed for key, request in row}  # each distinct request once
        found = dict(zip(wanted, self._cache.get_all(list(wanted.values())), strict=True))
        damaged = {key: entry for key, entry in found.items() if isinstance(entry, Damaged)}
        for entry in damaged.values():
            _say(f"{entry.path} in the cache is damaged ({entry.reason}): asking again")
        known: dict[str, Response] = {
            key: entry for key, entry in found.items() if entry is not None and not isinstance(entry, Damaged)
        }
        missing = {key: request for key, request in wanted.items() if key not in known}
        num_requests = sum(len(row) for row in rows)
        num_cached = sum(key in known for row in keyed for key, _ in row)
        _count("requests", num_requests)
        _count("cache_hits", num_cached)
        _count("cache_damaged", len(damaged))
        bar.cached(num_cached)
        bar.repeated(num_requests - num_cached - len(missing))
        if missing:
            known.update(self._ask(missing, set(damaged), model, bar))
        return [[known.get(key, _NO_ANSWER) for key, _ in row] for row in keyed]

    def _ask(
        self, missing: dict[str, Request], damaged: set[str], model: LazyEngine, bar: Progress
    ) -> dict[str, Response]:
        engine = model.get()
        keys = list(missing)
        answers: dict[str, Response] = {}
        bar.asking()
        started = time.monotonic()
        for position, response in engine.run(list(missing.values())):
            key = keys[position]
            _count("asked", 1)
            _count("tokens", num_tokens(response))  # paid, whether or not it fits its schema
            _count("prompt_tokens", num_prompt_tokens(response))
            response = asked_for(missing[key], checked(missing[key], response))
            answers[key] = self._cache.put(missing[key], response, replace=key in damaged)
            if isinstance(response, Failure):
                _count("failures", 1)
                _count(f"failures_{response.kind}", 1)
            bar.answered(response)
        _count("engine_seconds_run", round(time.monotonic() - started))
        return answers


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _count(name: str, amount: int) -> None:
    Metrics.counter("engine", name).inc(amount)
