r"""Asks the teacher what it thinks of each step, for the methods that need it: only `prune` decides.

    12 steps → Opinion(action="delete", skill="checking", …) for each, Rewrite(first=3, last=4, text="So x = 5.\n\n")

The teacher never copies text. It sees numbered steps and names an action for each (DRP, arXiv 2505.13975), or says whether
it is on the core path (ASAP, 2508.05988), by one of two ways:

- `structured`: one answer for a window of steps, a JSON object with exactly one entry a step.
- `likelihood`: one question a step; the log-probabilities of the labels are compared with those of the same question
  without a step (contextual calibration, 2102.09690): score(a) = log p(a | step) − log p(a | no step), each normalised over
  the labels. The highest wins.

Windows of `window_steps` overlap by `overlap_steps`. A step that two windows judge differently is undecided; scores are
averaged. What is undecided, or not answered as asked, is kept: the action keep, and on the path. In a second round the
steps to compress, and runs of steps to merge, are rewritten; ASAP's short solution (its "direct CoT") comes before its path.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal, NamedTuple

from pydantic import Field, model_validator

from transforms import prompts
from transforms.answers.likelihood import likelihood
from transforms.core.config import Config as BaseConfig
from transforms.core.config import combination
from transforms.core.drops import Drop, whole_pairs
from transforms.core.records import Annotations, Message, Opinion, Rewrite, SegmentedTrace
from transforms.inference.dialogue import Dialogue, UnansweredError, or_drop
from transforms.inference.requests import (
    Completion,
    Exchange,
    Failure,
    GenerateRequest,
    Request,
    Sampling,
    ScoreRequest,
)
from transforms.pruning.protection import protected

UNDECIDED = ("too_long", "not_json", "bad_response", "refused")  # failures that the next run would meet again
DEGENERATE_SHARE, MIN_STEPS = 0.95, 20
_MAX_SKILL_CHARS = 30
_QUOTED_CHARS = 120
_MAX_TOKENS = 48  # of one step's entry: enough in most languages; an answer that is cut is undecided


class Question(NamedTuple):
    """What is asked of each step. The first label is what is taken where the teacher does not decide."""

    labels: tuple[str, ...]
    prompt: str
    with_skill: bool


QUESTIONS = {
    "actions": Question(("keep", "delete", "compress", "merge"), "actions", True),
    "path": Question(("core", "aside"), "path", False),
}


class Config(BaseConfig):
    """`opinions`: structured | likelihood. A step is shown with at most `max_step_chars` characters.

    `max_tokens` and `temperature` are for the short solutions and the rewritten steps.
    """

    model: str = Field("teacher", min_length=1)
    opinions: Literal["structured", "likelihood"] = "structured"
    window_steps: int = Field(12, ge=1, le=100)
    overlap_steps: int = Field(4, ge=0)
    max_step_chars: int = Field(1000, ge=40)
    max_tokens: int = Field(512, ge=16)
    temperature: float = Field(0.0, ge=0, le=5)

    @model_validator(mode="after")
    def _moves_on(self) -> Config:
        if self.overlap_steps >= self.window_steps:
            raise combination(
                "annotate.overlap_steps",
                f"must be below annotate.window_steps = {self.window_steps}, so that windows move on",
            )
        return self


class Said(NamedTuple):
    """What the teacher says of one step; a label of "" where it does not decide. `scores` are those of all labels, if asked for."""

    label: str
    skill: str = ""
    scores: tuple[float, ...] = ()


def dialogue(trace: SegmentedTrace, config: Config, model: str, wanted: Sequence[str]) -> Dialogue[Annotations | Drop]:
    """Asks for the opinions in `wanted` (actions, path), then for `rewrites`; ends with them, or with a drop to be asked again."""
    return or_drop(_annotated(trace, config, model, wanted), trace.id, "annotate")


def not_asked(trace: SegmentedTrace) -> Iterator[Annotations]:
    """No opinions, for no method needs any."""
    yield Annotations(trace.id, "")


def _annotated(trace: SegmentedTrace, config: Config, model: str, wanted: Sequence[str]) -> Dialogue[Annotations]:
    solution, said = "", {}
    if "path" in wanted:
        (exchange,) = _usable((yield [_solution_request(trace, config)]))
        solution = _whole(exchange)
    for name, question in QUESTIONS.items():
        if name not in wanted:
            continue
        if name == "path" and not solution:
            said[name] = [Said("")] * len(trace.steps)  # beside nothing, nothing is aside
            continue
        shown = solution if name == "path" else trace.response
        exchanges = _usable((yield list(_requests(trace, question, config, shown))))
        said[name] = _merged(trace, question, config, exchanges)
    spared = protected(trace)  # those stay as they are, whatever is said of them
    actions = ["keep" if step in spared else one.label for step, one in enumerate(said.get("actions", []))]
    parts = list(to_rewrite(actions)) if "rewrites" in wanted else []
    exchanges = _usable((yield [_rewrite_request(trace, part, config) for part in parts]))
    return Annotations(
        id=trace.id,
        model=model,
        way=config.opinions if wanted else "",
        opinions=_opinions(said, len(trace.steps)),
        rewrites=tuple(_rewrites(trace, parts, exchanges)),
        solution=solution,
        num_undecided=sum(any(not one.label for one in step) for step in zip(*said.values(), strict=True)),
        prompts=prompts.checksum(*prompt_names(config, wanted)),
    )


def prompt_names(config: Config, wanted: Iterable[str]) -> list[str]:
    """The prompts that are used."""
    names = [_prompt_name(question, config) for name, question in QUESTIONS.items() if name in wanted]
    return names + ["solution-1"] * ("path" in wanted) + ["rewrite-1"] * ("rewrites" in wanted)


def degenerate(labels: Mapping[str, int]) -> str:
    """The one label that nearly all of a good number of opinions have, which then say nothing; or ""."""
    total = sum(labels.values())
    most = max(labels, key=lambda label: labels[label], default="")
    return most if total >= MIN_STEPS and labels[most] >= DEGENERATE_SHARE * total else ""


def windows(num_steps: int, config: Config) -> Iterator[range]:
    """The steps that are shown together."""
    size, move = config.window_steps, config.window_steps - config.overlap_steps
    for start in range(0, max(num_steps - config.overlap_steps, min(num_steps, 1)), move):
        yield range(start, min(start + size, num_steps))


def to_rewrite(actions: Sequence[str]) -> Iterator[range]:
    """The steps that become one: each to compress, and each run of steps to merge."""
    start = 0
    while start < len(actions):
        end = start + 1
        if actions[start] == "merge":
            while end < len(actions) and actions[end] == "merge":
                end += 1
        if actions[start] in ("merge", "compress"):
            yield range(start, end)
        start = end


# What is asked.


def _requests(trace: SegmentedTrace, question: Question, config: Config, solution: str) -> Iterator[Request]:
    for window in windows(len(trace.steps), config):
        messages = (Message("user", _prompt(trace, window, question, config, solution)),)
        if config.opinions == "structured":
            yield GenerateRequest(
                messages, _sampling(config, _MAX_TOKENS * len(window) + 16), 0, _schema(window, question)
            )
            continue
        for step in (None, *window):
            for label in question.labels:
                asked = _asked(trace, step)
                yield ScoreRequest(messages, asked + label, ((len(asked), len(asked + label)),))


def _prompt(trace: SegmentedTrace, window: range, question: Question, config: Config, solution: str) -> str:
    steps = "\n".join(f"[{step + 1}] {_shown(trace, step, config.max_step_chars)}" for step in window)
    return prompts.fill(
        _prompt_name(question, config), first=window[0] + 1, last=window[-1] + 1, count=len(trace.steps),
        question=trace.problem.question.strip(), solution=solution.strip(), steps=steps,
    )  # fmt: skip


def _prompt_name(question: Question, config: Config) -> str:
    return f"{question.prompt}-likelihood-1" if config.opinions == "likelihood" else f"{question.prompt}-1"


def _shown(trace: SegmentedTrace, step: int, max_chars: int) -> str:
    """The step's text in one paragraph; of a long one its beginning and its end."""
    text = " ".join(trace.steps[step].text(trace.thinking).split())
    if len(text) <= max_chars:
        return text
    half = (max_chars - 5) // 2
    return f"{text[:half]} […] {text[-half:]}"


def _asked(trace: SegmentedTrace, step: int | None) -> str:
    """What goes before a label; with None, the same without a step."""
    if step is None:
        return 'Step: "…"\nAnswer: '
    return f'Step {step + 1}: "{_shown(trace, step, _QUOTED_CHARS)}"\nAnswer: '


def _schema(window: range, question: Question) -> str:
    """A JSON object with one entry a step, by its number."""
    label: dict[str, Any] = {"enum": list(question.labels)}
    if question.with_skill:
        entry = {"skill": {"type": "string", "maxLength": _MAX_SKILL_CHARS}, "action": label}
        label = _object(entry)
    return json.dumps(_object({str(step + 1): label for step in window}))  # in the order of the steps


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object that has all of these, and nothing else."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _sampling(config: Config, max_tokens: int) -> Sampling:
    return Sampling(temperature=config.temperature, max_tokens=max_tokens)


def _solution_request(trace: SegmentedTrace, config: Config) -> GenerateRequest:
    answer = trace.answer or trace.response.strip()
    text = prompts.fill("solution-1", question=trace.problem.question.strip(), answer=answer)
    return GenerateRequest((Message("user", text),), _sampling(config, config.max_tokens), 0)


def _rewrite_request(trace: SegmentedTrace, part: range, config: Config) -> GenerateRequest:
    text = _part(trace, part).strip()
    asked = prompts.fill("rewrite-1", question=trace.problem.question.strip(), part=text)
    schema = json.dumps(_object({"text": {"type": "string"}}))
    return GenerateRequest((Message("user", asked),), _sampling(config, config.max_tokens), 0, schema)


def _part(trace: SegmentedTrace, part: range) -> str:
    """What these steps say, together."""
    return "".join(trace.texts[part.start : part.stop])


# What comes back.


def _usable(exchanges: list[Exchange]) -> list[Exchange]:
    """The exchanges. Raises UnansweredError at the first failure that the next run may not meet again."""
    for _, response in exchanges:
        if isinstance(response, Failure) and response.kind not in UNDECIDED:
            raise UnansweredError(response)
    return exchanges


def _whole(exchange: Exchange) -> str:
    """The teacher's short solution; "" if there is none, or only its beginning."""
    if not isinstance(exchange.response, Completion) or exchange.response.finish_reason == "length":
        return ""
    return whole_pairs(exchange.response.text).strip()


def _merged(trace: SegmentedTrace, question: Question, config: Config, exchanges: Sequence[Exchange]) -> list[Said]:
    """What is said of each step, over all windows that show it."""
    of_step: list[list[Said]] = [[] for _ in trace.steps]
    rest = iter(exchanges)
    for window in windows(len(trace.steps), config):
        if config.opinions == "structured":
            said = _structured(next(rest), window, question)
        else:
            said = _by_likelihood(list(islice(rest, len(question.labels) * (len(window) + 1))), question)
        for step, one in zip(window, said, strict=True):
            of_step[step].append(one)
    return [_agreed(several, question) for several in of_step]


def _agreed(several: Sequence[Said], question: Question) -> Said:
    known = [one for one in several if one.label]
    if not known:
        return Said("")
    if scores := [one.scores for one in known if one.scores]:
        means = tuple(math.fsum(column) / len(scores) for column in zip(*scores, strict=True))
        return Said(question.labels[means.index(max(means))], scores=means)
    return known[0] if len({one.label for one in known}) == 1 else Said("", known[0].skill)


def _structured(exchange: Exchange, window: range, question: Question) -> list[Said]:
    if not isinstance(exchange.response, Completion):
        return [Said("")] * len(window)
    entries = [json.loads(exchange.response.text)[str(step + 1)] for step in window]
    return [Said(entry["action"], entry["skill"]) if question.with_skill else Said(entry) for entry in entries]


def _by_likelihood(exchanges: Sequence[Exchange], question: Question) -> list[Said]:
    """From the labels' log-probabilities without a step, and then with each step."""
    count = len(question.labels)
    rows = [[_logprob(one) for one in exchanges[start : start + count]] for start in range(0, len(exchanges), count)]
    without, *with_steps = [_normalised(row) for row in rows]
    found = []
    for row in with_steps:
        scores = _normalised([value - base for value, base in zip(row, without, strict=True)])
        undecided = any(map(math.isnan, scores))
        found.append(Said("") if undecided else Said(question.labels[scores.index(max(scores))], scores=tuple(scores)))
    return found


def _logprob(exchange: Exchange) -> float:
    """Of the label, in nats; NaN without an answer."""
    found = likelihood(exchange)
    return found.sum_nats if found.num_tokens else math.nan


def _normalised(row: Sequence[float]) -> list[float]:
    """Log-probabilities that sum to one over the labels."""
    highest = max(row)
    total = highest + math.log(math.fsum(math.exp(value - highest) for value in row))
    return [round(value - total, 6) for value in row]


def _opinions(said: Mapping[str, Sequence[Said]], num_steps: int) -> tuple[Opinion, ...]:
    """One for each step, if anything was asked. What is not decided is kept."""
    if not said:
        return ()
    nothing = [Said("")] * num_steps
    actions, paths = (said.get(name, nothing) for name in QUESTIONS)
    return tuple(
        Opinion(
            action=(action.label or "keep") if "actions" in said else "",
            skill=action.skill,
            action_scores_nats=action.scores,
            path=(path.label or "core") if "path" in said else "",
            path_scores_nats=path.scores,
        )
        for action, path in zip(actions, paths, strict=True)
    )


def _rewrites(trace: SegmentedTrace, parts: Sequence[range], exchanges: Sequence[Exchange]) -> Iterator[Rewrite]:
    """The rewritten parts, in the white space that the originals stand in; none for what came back empty or not at all."""
    for part, exchange in zip(parts, exchanges, strict=True):
        if isinstance(exchange.response, Completion) and (text := json.loads(exchange.response.text)["text"].strip()):
            whole = _part(trace, part)
            before, after = whole[: len(whole) - len(whole.lstrip())], whole[len(whole.rstrip()) :]
            yield Rewrite(part[0], part[-1], before + text + after)


def label_counts(annotations: Iterable[Annotations]) -> dict[str, dict[str, int]]:
    """How often the teacher chose each label, by what it was asked: actions, path."""
    counts: dict[str, Counter[str]] = {"actions": Counter(), "path": Counter()}
    for trace in annotations:
        for opinion in trace.opinions:
            counts["actions"][opinion.action] += 1
            counts["path"][opinion.path] += 1
    asked = {name: {label: n for label, n in sorted(labels.items()) if label} for name, labels in counts.items()}
    return {name: labels for name, labels in asked.items() if labels}


def degenerate_opinions(labels: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    """Of `label_counts`, the label that nearly all have, where one has, by what was asked."""
    found = {name: degenerate(counts) for name, counts in labels.items()}
    return {name: label for name, label in found.items() if label}
