"""A teacher's opinions on steps beside actions given by hand: tests/golden/actions.jsonl, over traces of SHARED_DATA.

    python -m bench.actions data/models/qwen2.5-coder-1.5b-instruct structured
    python -m bench.actions data/models/qwen2.5-coder-1.5b-instruct likelihood

Prints one JSON line: how many answers fit their schema, steps undecided, the share of each action, agreement with the
labels (accuracy, macro-F1 and Cohen's kappa over the four actions, and over delete against the rest), whether the opinions
are degenerate, and seconds per trace. Beside them what "keep" or "delete" for every step would get.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.methods import Asked
from transforms.annotate import QUESTIONS, Config, degenerate, dialogue
from transforms.answers.final import final_answer
from transforms.answers.thinking import Parts, split_thinking
from transforms.core.records import Annotations, Problem, SegmentedTrace, asked
from transforms.inference.dialogue import Respond, play
from transforms.inference.models import Model, TransformersModel, VllmModel
from transforms.inference.requests import Completion, Exchange, Failure, GenerateRequest
from transforms.steps.splitting import split_steps

SHARED = Path(os.environ.get("SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "actions.jsonl"
ACTIONS = QUESTIONS["actions"].labels


def labelled() -> list[tuple[SegmentedTrace, list[str]]]:
    """Traces whose steps all have a label, and the labels. Raises KeyError if a label is of no step any more."""
    places: dict[tuple[str, str], dict[tuple[int, int], str]] = {}
    for row in map(json.loads, GOLDEN.read_text(encoding="utf-8").splitlines()):
        places.setdefault((row["file"], row["id"]), {})[row["start"], row["end"]] = row["action"]
    found = []
    for (file, trace_id), labels in places.items():
        with gzip.open(SHARED / "traces" / f"{file}.jsonl.gz", "rt", encoding="utf-8") as lines:
            row = next(row for row in map(json.loads, lines) if row["id"] == trace_id)
        parts = split_thinking(row["response"])
        assert isinstance(parts, Parts)
        steps = split_steps(parts.thinking)
        problem = Problem(trace_id, file, file, asked(row["question"]), row["reference_answer"], "math", "")
        answer = final_answer(parts.response, problem)
        trace = SegmentedTrace(trace_id, problem, "", row["question"], parts.thinking, parts.response, answer, steps)
        found.append((trace, [labels[step.start, step.end] for step in steps]))
    return found


def agreement(labels: Sequence[str], said: Sequence[str], classes: Sequence[str]) -> dict[str, float]:
    """Accuracy, macro-F1 over the classes, and Cohen's kappa."""
    pairs, total = Counter(zip(labels, said, strict=True)), len(labels)
    given, chosen = Counter(labels), Counter(said)
    same = sum(pairs[name, name] for name in classes) / total
    by_chance = sum(given[name] * chosen[name] for name in classes) / total**2
    f1 = [2 * pairs[name, name] / max(given[name] + chosen[name], 1) for name in classes]
    kappa = (same - by_chance) / (1 - by_chance) if by_chance < 1 else 0.0
    return {"accuracy": round(same, 3), "macro_f1": round(sum(f1) / len(f1), 3), "kappa": round(kappa, 3)}


def compared(labels: Sequence[str], said: Sequence[str]) -> dict[str, Any]:
    """Over the four actions, and over delete against the rest."""
    two = [["delete" if action == "delete" else "stay" for action in actions] for actions in (labels, said)]
    return {"four": agreement(labels, said, ACTIONS), "delete_or_not": agreement(*two, ("delete", "stay"))}


class FirstRound:
    """Answers the first round; what follows from it, the rewrites, counts as not answered."""

    def __init__(self, respond: Respond):
        self._respond = respond
        self.answers: list[list[Exchange]] = []

    def __call__(self, asked: list[Sequence[Any]]) -> list[list[Exchange]]:
        if self.answers:
            return [[Exchange(request, Failure("not_json", "not asked")) for request in row] for row in asked]
        self.answers = self._respond(asked)
        return self.answers


def main() -> None:
    """Prints the line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="data/models/qwen2.5-coder-1.5b-instruct")
    parser.add_argument("opinions", nargs="?", default="structured", choices=["structured", "likelihood"])
    parser.add_argument("--cache", default="data/cache")
    options = parser.parse_args()
    traces, labels = zip(*labelled(), strict=True)
    flat = [label for one in labels for label in one]
    model: Model = (
        VllmModel(engine="vllm", model=options.model, max_model_len=8192, max_num_seqs=16)
        if options.opinions == "structured"
        else TransformersModel(engine="transformers", model=options.model, max_model_len=8192)
    )
    config = Config(opinions=options.opinions)
    respond = FirstRound(Asked(model, options.cache).responder("actions", len(traces)))
    started = time.monotonic()
    found = play([dialogue(trace, config, "", ("actions",)) for trace in traces], respond)
    seconds = time.monotonic() - started
    assert all(isinstance(one, Annotations) for one in found), found
    opinions = [opinion for one in found for opinion in one.opinions]
    answers = [one for row in respond.answers for one in row if isinstance(one.request, GenerateRequest)]
    said = [opinion.action for opinion in opinions]
    print(
        json.dumps(
            {
                "bench": "actions", "opinions": options.opinions, "model": Path(options.model).name, "traces": len(traces), "steps": len(flat),
                "answers": len(answers), "answers_that_fit": sum(isinstance(one.response, Completion) for one in answers),
                "said": dict(Counter(said)), "labels": dict(Counter(flat)), "degenerate": degenerate(Counter(said)),
                **compared(flat, said),
                "always_keep": compared(flat, ["keep"] * len(flat)), "always_delete": compared(flat, ["delete"] * len(flat)),
                "seconds_per_trace": round(seconds / len(traces), 1),
            }
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
