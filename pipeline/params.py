"""params.yaml, typed and strict. The only module that reads it.

    load("params.yaml", ["generate.sampling.temperature=0.5"]) → Params(base=Base(seed=17, …), …)

A wrong key, type, range or combination is a ConfigError of one line that names the key, the value and
what is allowed. `section` gives the part of the configuration that a stage depends on; dvc.yaml lists
the same keys.
"""

from __future__ import annotations

import io
import re
from typing import Any

from pydantic import Field, JsonValue, field_validator, model_validator
from ruamel.yaml import YAML, YAMLError

from pipeline.messages import validated
from transforms.annotate import Config as Annotate
from transforms.core.config import Config, combination, unknown_key
from transforms.core.errors import ConfigError, InputError
from transforms.emit import Config as Emit
from transforms.filter import Config as Filter
from transforms.generate import Config as Generate
from transforms.inference.models import GENERATES, SCORES, Model, has_weights
from transforms.inference.weights import check_name
from transforms.ingest import Config as Ingest
from transforms.judging import Config as Verify
from transforms.pruning import METHODS, needs
from transforms.recheck import Config as Recheck
from transforms.score import Config as Score
from transforms.segment import Config as Segment
from transforms.sources import source_name


class Base(Config):
    """`shard_rows`: rows of the sources in one part; a part is what one worker holds in memory.

    `round`: of Think-Prune-Train, see `pipeline.rounds`. `folder`: where DVC finds the round's folders.
    """

    seed: int = 17
    round: int = Field(1, ge=1, le=1000)
    folder: str = ""
    shard_rows: int = Field(500, ge=1, le=100_000)

    @model_validator(mode="after")
    def _folder_of_round(self) -> Base:
        expected = "data" if self.round == 1 else f"data/round-{self.round}"
        if self.folder not in ("", expected):
            raise combination(
                "base.folder", f"must be {expected} where base.round is {self.round}; DVC cannot derive it"
            )
        return self


class Runner(Config):
    """Which Beam runner, and Beam's own flags for it. `workers` is for the direct runner."""

    name: str = Field("direct", min_length=1)
    workers: int = Field(1, ge=1, le=1024)
    options: dict[str, JsonValue] = {}


class Prune(Config):
    """`methods` to run; `options` of each, by its name."""

    methods: tuple[str, ...] = Field(("keep_all", "first_correct"), min_length=1, strict=False)
    options: dict[str, Any] = {}

    @field_validator("methods")
    @classmethod
    def _known(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        for number, method in enumerate(methods):
            if method not in METHODS:
                raise combination(f"prune.methods.{number}", f"no such method; allowed: {', '.join(METHODS)}")
            if method in methods[:number]:
                raise combination(f"prune.methods.{number}", "is there twice")
        return methods

    @field_validator("options", mode="after")
    @classmethod
    def _typed(cls, options: dict[str, Any]) -> dict[str, Any]:
        for name in options:
            if name not in METHODS:
                raise unknown_key(name, list(METHODS))
        return {
            name: validated(
                METHODS[name].Config, {} if options.get(name) is None else options[name], ("prune", "options", name)
            )
            for name in METHODS
        }

    def option(self, method: str) -> Any:
        """The Config of a method."""
        return self.options[method] if method in self.options else METHODS[method].Config()

    @property
    def needs(self) -> frozenset[str]:
        """What the methods read beside the steps: only that is computed."""
        return frozenset().union(*(needs(method, self.option(method)) for method in self.methods))

    @property
    def opinions(self) -> tuple[str, ...]:
        """What the teacher is asked of each step."""
        return tuple(sorted(self.needs & {"actions", "path", "rewrites"}))


class Report(Config):
    """`samples`: traces shown before and after, on the page."""

    samples: int = Field(5, ge=0, le=100)


class Params(Config):
    """All of params.yaml."""

    base: Base = Base()
    runner: Runner = Runner()
    models: dict[str, Model] = Field(min_length=1)
    ingest: Ingest
    generate: Generate = Generate()
    verify: Verify = Verify()
    segment: Segment = Segment()
    score: Score = Score()
    annotate: Annotate = Annotate()
    prune: Prune = Prune()
    recheck: Recheck = Recheck()
    filter: Filter = Filter()
    emit: Emit = Emit()
    report: Report = Report()

    @field_validator("models")
    @classmethod
    def _plain_names(cls, models: dict[str, Any]) -> dict[str, Any]:
        for name in models:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name):
                raise combination("models", f"{name!r} is no name for a model; allowed: letters, digits, _ and -")
        return models

    @model_validator(mode="after")
    def _fits_together(self) -> Params:
        self._models_can()
        self._models_have_room()
        self._sources_fit()
        self._can_be_judged()
        self._methods_fit()
        return self

    def _models_can(self) -> None:
        """Each stage's model is there, and its engine does what the stage asks."""
        able = [
            ("generate", GENERATES, "generate here"),
            ("score", SCORES, "score here"),
            ("recheck", SCORES, "score here"),
        ]
        if self.prune.opinions:
            able.append(("annotate", GENERATES, "generate here"))
        if self.prune.opinions and self.annotate.opinions == "likelihood":
            able.append(("annotate", SCORES, "score here, as annotate.opinions: likelihood does"))
        for stage, engines, verb in able:
            name = getattr(self, stage).model
            if name not in self.models:
                raise combination(f"{stage}.model", f"no such model; allowed: {', '.join(self.models)}")
            if self.models[name].engine not in engines:
                raise combination(
                    f"{stage}.model",
                    f"its engine is {self.models[name].engine}, which cannot {verb}; allowed engines: {', '.join(engines)}",
                )

    def _models_have_room(self) -> None:
        """What is generated leaves room for the prompt."""
        retried = self.generate.most_tokens > self.generate.sampling.max_tokens
        generated = f"generate.{'max_retry_tokens' if retried else 'sampling.max_tokens'}"
        room = [(generated, self.generate.most_tokens, self.generate.model)]
        if self.prune.opinions:
            room.append(("annotate.max_tokens", self.annotate.max_tokens, self.annotate.model))
        if self.recheck.completions:
            room.append(("recheck.sampling.max_tokens", self.recheck.sampling.max_tokens, self.recheck.model))
        for key, tokens, name in room:
            if tokens >= (most := self.models[name].max_model_len):
                raise combination(
                    key, f"must be below models.{name}.max_model_len = {most}, which holds prompt and answer"
                )

    def _sources_fit(self) -> None:
        """Problems or traces come in, and a part of them fits."""
        if self.generate.imports and self.ingest.sources:
            raise combination(
                "ingest.sources",
                "must be [] where generate.import is given: problems come with the traces, none is asked about",
            )
        if not self.generate.imports and not self.ingest.sources:
            raise combination("ingest.sources", "must have at least one entry, or generate.import must")
        until = self.generate.resample_until
        most = until.max_samples if until else self.generate.samples_per_problem
        if self.base.shard_rows * most > 1_000_000:
            raise combination(
                "base.shard_rows",
                f"times generate.samples_per_problem = {most} traces do not fit in one part; allowed: 1,000,000 in all",
            )

    def _methods_fit(self) -> None:
        """The scores have what the methods need, and the filter chooses among methods that run."""
        if self.filter.method not in ("portfolio", *self.prune.methods):
            raise combination(
                "filter.method", f"is not run; allowed: portfolio, {', '.join(self.prune.methods)} (prune.methods)"
            )
        for name in self.filter.portfolio_without:
            if name not in METHODS:
                raise combination(
                    "filter.portfolio_without", f"has no method in {name!r}; allowed: {', '.join(METHODS)}"
                )
        if self.filter.method == "portfolio" and set(self.prune.methods) <= set(self.filter.portfolio_without):
            raise combination(
                "filter.portfolio_without",
                f"leaves none of prune.methods = {', '.join(self.prune.methods)}: "
                "name one in filter.method, or take it out here",
            )
        if (
            "drp" in self.prune.methods
            and self.annotate.opinions == "structured"
            and self.prune.option("drp").min_margin_nats
        ):
            raise combination(
                "prune.options.drp.min_margin_nats",
                "is not read, as annotate.opinions = structured gives no scores; with annotate.opinions: likelihood it is",
            )
        if self.score.tokens == "first" and "entropies" in self.prune.needs:
            (name, *_) = (name for name in self.prune.methods if "entropies" in needs(name, self.prune.option(name)))
            raise combination("score.tokens", f"leaves out the entropies that {name} needs; must be all")

    def _can_be_judged(self) -> None:
        """Nothing is paid for that could never be kept."""
        if self.verify.reference == "vote":
            asked = any(_without_references(source) for source in self.ingest.sources)
            if asked and self.verify.vote.min_votes > self.generate.samples_per_problem:
                raise combination(
                    "verify.vote.min_votes",
                    f"is more than generate.samples_per_problem = {self.generate.samples_per_problem}: nothing would ever be decided",
                )
            return
        for source in (*self.ingest.sources, *self.generate.imports):
            if _without_references(source):
                raise combination(
                    "verify.reference",
                    f"the source {source_name(source)} has no references (fields.answer: null), so none of its traces could be kept; must be vote",
                )


def _without_references(source: Any) -> bool:
    """Whether nothing but a vote can judge answers to the source's problems."""
    return source.kind != "reasoning_gym" and source.answer_kind != "code" and source.fields.answer is None


def load(path: str, overrides: list[str] | None = None) -> Params:
    """The parameters of a YAML file with `group.key=value` overrides.

    Raises:
        InputError: the file cannot be read.
        ConfigError: it is not YAML, or a value is not allowed.
    """
    try:
        with open(path, encoding="utf-8") as file:
            values = YAML(typ="safe", pure=True).load(file)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (YAMLError, ValueError, RecursionError) as error:  # a date that is none, a number of 5,000 digits
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: holds no groups (base, models, ingest, …)")
    for override in overrides or []:
        _override(values, override)
    params: Params = validated(Params, values, ())
    for name, model in params.models.items():
        if has_weights(model):
            try:
                check_name(model.model)
            except ConfigError as error:
                raise ConfigError(f"models.{name}.model = {model.model!r}: {error}") from None
    return params


def _override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {override!r}: must be group.key=value, for example generate.sampling.temperature=0.5")
    try:
        value = YAML(typ="safe", pure=True).load(io.StringIO(text))
    except (YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"--set {override!r}: the value is not YAML: {' '.join(str(error).split())}") from error
    *parents, last = key.strip().split(".")
    node: Any = values
    for done, part in enumerate(parents):
        node = _child(node, part, f"--set {override!r}: {'.'.join(parents[: done + 1])}")
    if isinstance(node, list):
        _child(node, last, f"--set {override!r}: {key.strip()}")
        node[int(last)] = value
    else:
        node[last] = value


def _child(node: Any, part: str, where: str) -> Any:
    if isinstance(node, list):
        if not part.isdecimal() or int(part) >= len(node):
            raise ConfigError(f"{where}: no such entry; allowed: 0 to {len(node) - 1}")
        return node[int(part)]
    if not isinstance(node.get(part), dict | list):
        node[part] = {}
    return node[part]
