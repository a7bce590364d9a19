"""Shards whose rows ask a model, as a RunInference ModelHandler: Beam loads and shares the engine, a shard is one element.

Each round of a shard's requests is looked up in the cache; the misses go to the engine as one batch, and their answers into the cache.
The engine is made at the first miss: a run that finds all its answers in the cache never loads a model.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from apache_beam.metrics import Metrics
from apache_beam.ml.inference.base import ModelHandler

from transforms.core.errors import UserError, mark
from transforms.inference.cache import Cache, Damaged
from transforms.inference.dialogue import Work
from transforms.inference.engines import Engine, load_engine
from transforms.inference.models import Model, has_weights
from transforms.inference.requests import Exchange, Failure, Request, Response, asked_for
from transforms.inference.structured import checked
from transforms.shards.mapping import Job, Shard, map_rows
from transforms.shards.progress import Progress, num_prompt_tokens, num_tokens
from transforms.storage.folders import Receipt, StageFolder

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


class Asker:
    """Answers requests from the cache and the model.

    Args:
        model: the engine's configuration.
        folder: the model's folder, or its hub id.
        cache: where answers are kept.
        label: the stage, shown with the progress.
        num_rows: how many rows are to come in all, for the progress.
        requests_per_row: how many requests each is expected to have; the progress is corrected as they come.
    """

    def __init__(self, model: Model, folder: str, cache: Cache, label: str, num_rows: int, requests_per_row: int = 1):
        self.model, self.folder, self.cache = model, folder, cache
        self._label, self._num_rows, self.requests_per_row = label, num_rows, requests_per_row

    @cached_property
    def bar(self) -> Progress:
        """The progress of all that is asked; made where it is asked."""
        return Progress(self._label, self._num_rows * self.requests_per_row, self.model)

    def ask(self, rows: Sequence[Sequence[Request]], engine: LazyEngine) -> list[list[Response]]:
        """What comes back for the requests of each row; equal ones are asked once, as one batch."""
        bar = self.bar
        keyed = [[(self.cache.key(request), request) for request in row] for row in rows]
        wanted = {key: request for row in keyed for key, request in row}  # each distinct request once
        found = dict(zip(wanted, self.cache.get_all(list(wanted.values())), strict=True))
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
            known.update(self._ask(missing, set(damaged), engine))
        return [[known.get(key, _NO_ANSWER) for key, _ in row] for row in keyed]

    def _ask(self, missing: dict[str, Request], damaged: set[str], model: LazyEngine) -> dict[str, Response]:
        engine, bar = model.get(), self.bar
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
            answers[key] = self.cache.put(missing[key], response, replace=key in damaged)
            if isinstance(response, Failure):
                _count("failures", 1)
                _count(f"failures_{response.kind}", 1)
            bar.answered(response)
        _count("engine_seconds_run", round(time.monotonic() - started))
        return answers


class EngineHandler(ModelHandler[Shard, Receipt, LazyEngine]):
    """Runs a job whose rows ask a model: reads the rows of a shard, plays their dialogues once, and writes the part."""

    def __init__(self, job: Job, folder: str, asker: Asker):
        super().__init__()
        self._job, self._folder, self._asker = job, folder, asker

    @property
    def identity(self) -> dict[str, Any]:
        """What tells the model from others."""
        return self._asker.cache.identity

    def load_model(self) -> LazyEngine:
        """Nothing yet; see LazyEngine."""
        return LazyEngine(self._asker.model, self._asker.folder)

    def batch_elements_kwargs(self) -> Mapping[str, Any]:
        """A shard is a batch already."""
        return {"min_batch_size": 1, "max_batch_size": 1}

    def run_inference(
        self, batch: Sequence[Shard], model: LazyEngine, inference_args: dict[str, Any] | None = None
    ) -> Iterable[Receipt]:
        """The receipt of each shard."""
        folder = StageFolder(self._folder)
        try:
            respond = partial(Responder, self._asker, model, self._job.work)
            return [map_rows(self._job, folder, shard, respond()) for shard in batch]
        except UserError as error:
            raise RuntimeError(mark(error)) from error


class Responder:
    """Answers what the dialogues of a shard ask, round by round: requests by the model, `Work` by `work`."""

    def __init__(self, asker: Asker, model: LazyEngine, work: Callable[[list[Any]], Iterable[Any]] | None = None):
        self._asker, self._model, self._work = asker, model, work
        self._is_first = True

    def __call__(self, asked: list[Sequence[Request | Work]]) -> list[list[Exchange]]:
        requests = [[one for one in row if not isinstance(one, Work)] for row in asked]
        self._expect(sum(map(len, requests)), len(asked))
        responses = iter(one for row in self._asker.ask(requests, self._model) for one in row)
        items = [one.item for row in asked for one in row if isinstance(one, Work)]
        done = iter(self._work(items)) if self._work and items else iter(())
        return [[Exchange(one, next(done if isinstance(one, Work) else responses)) for one in row] for row in asked]  # type: ignore[arg-type]

    def _expect(self, number: int, num_rows: int) -> None:
        """Corrects what the progress expects."""
        if self._is_first:
            self._asker.bar.more(number - num_rows * self._asker.requests_per_row)
        else:
            self._asker.bar.more(number)
            _count("requests_again", number)
        self._is_first = False


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _count(name: str, amount: int) -> None:
    Metrics.counter("engine", name).inc(amount)
