"""What the checks of coherence and arithmetic find, and how fast they are. Prints one JSON line.

    python -m bench.coherence                     # all of it, without a model: about four minutes
    python -m bench.coherence --scorer MODEL      # and what the likelihood of the answer says of the same cases
    python -m bench.coherence --show wrong        # prints the cases that are told wrongly; also: alarms, planted, flagged

cases    A step was taken out of a version, and readers who did not see what the checks say labelled what that did: damage, harmless,
         unclear (tests/golden/coherence.jsonl, and cases/coherence.jsonl of SHARED_DATA); disputed where two readers differ. Damage is masked
         where the value stands elsewhere for something else. Flagged is a case in which a value or a name dangles that did not before (the version
         counts as the original); numbered parts are counted apart, as a list without its 2 is no matter of labels.
random   2,000 sentences of real traces, each taken out alone: the share that is flagged.
halves   A random half of each real trace's sentences: the share of these versions in which something dangles, by source; and of the traces of which
         at most 2 % of the sentences hold an expression ("prose").
versions The 249 correct traces of bench/methods.py, pruned by what needs no model at a half, a quarter and an eighth of the characters: the
         share of versions in which something dangles, and the characters that stay as pruned and mended. (Mended ones never dangle.)
natural  All equations of the real traces, responses too: how many are true, rounded, false, corrected, unknown.
planted  One digit of the result of an equation is changed: 200 of each source, found by a pattern of their own and checked to be right. Found
         is an alarm at that place; wrong are alarms elsewhere that the trace did not have before and that do not have the planted number.
speed    MB of trace text a second on one core, flow and arithmetic together, steps at hand.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from bench.methods import Asked, real_traces
from transforms.answers.final import final_answer
from transforms.answers.likelihood import answer_request, likelihood
from transforms.answers.statements import without_statements
from transforms.answers.thinking import Parts, split_thinking
from transforms.coherence.arithmetic import Judged, Verdict, arithmetic, judged
from transforms.coherence.expressions import read
from transforms.coherence.flow import Flow
from transforms.core.records import Edge, Problem, Pruned, StepScore, TraceScores, asked
from transforms.inference.models import TransformersModel
from transforms.prune import prune
from transforms.pruning import METHODS
from transforms.pruning.given import PruneInput
from transforms.recheck import Config, Measured, flow_of, mended
from transforms.steps.splitting import split_steps
from transforms.steps.versions import Version

SHARED = Path(os.environ.get("SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "coherence.jsonl"
NUM_REMOVED = 2000
PROSE = 0.02
NUM_PLANTED = 200


class Text(NamedTuple):
    """A real trace in sentences."""

    source: str
    id: str
    question: str
    steps: tuple[str, ...]
    response: str


class Case(NamedTuple):
    """A version without one of its steps. `label` is damage | masked | harmless | unclear | disputed."""

    id: str
    source: str
    version: str
    question: str
    steps: tuple[str, ...]  # with the step that was taken out
    removed: int
    label: str
    answer: str


@cache
def texts() -> tuple[Text, ...]:
    """All real traces."""
    found = []
    for path in sorted((SHARED / "traces").glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                parts = split_thinking(row["response"])
                if isinstance(parts, Parts):
                    found.append(
                        Text(
                            path.name.split(".jsonl")[0],
                            row["id"],
                            row["question"],
                            sentences(parts.thinking),
                            parts.response,
                        )
                    )
    return tuple(found)


def sentences(thinking: str) -> tuple[str, ...]:
    """Its steps."""
    return tuple(step.text(thinking) for step in split_steps(thinking, "sentence"))


def handed_cases(with_answers: bool = False) -> Iterator[Case]:
    """Those of SHARED_DATA; one reader's labels."""
    answers = {text.id: text.response for text in texts()} if with_answers else {}
    for row in _rows(SHARED / "cases" / "coherence.jsonl"):
        at = row["removed"]["at"]
        steps = (*row["steps"][:at], row["removed"]["sentence"], *row["steps"][at:])
        label = "masked" if row["label"] == "damage" and "mask" in row["why"] else row["label"]
        yield Case(
            row["id"],
            row["kind"].split()[0],
            row["version"],
            row["question"],
            steps,
            at,
            label,
            answers.get(row["trace"], ""),
        )


def own_cases() -> Iterator[Case]:
    """Those of tests/golden, labelled by readers; of real traces they hold no text, and only where SHARED_DATA is they count."""
    shared = {text.id: text for text in texts()} if SHARED.exists() else {}
    own: dict[str, dict[str, Any]] = {}
    for row in _rows(GOLDEN):
        if row["kind"] == "trace":
            own[row["id"]] = row
            continue
        trace = own.get(row["trace"]) or (shared[row["trace"]]._asdict() if row["trace"] in shared else None)
        if trace is None:
            continue
        steps = trace["steps"]
        stays = (
            [step for step in range(len(steps)) if step in row["kept"] or step == row["removed"]]
            if row["kept"]
            else range(len(steps))
        )
        label = row["label"] if len(set(row["labels"])) == 1 else "disputed"
        yield Case(
            row["id"], row["source"], row["version"], trace["question"], tuple(steps[step] for step in stays),
            list(stays).index(row["removed"]), label, trace["response"],
        )  # fmt: skip


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        yield from map(json.loads, path.read_text(encoding="utf-8").splitlines())


def edges(case: Case) -> list[Edge]:
    """What dangles without the step."""
    return Flow(case.question, case.steps).edges(
        [None if step == case.removed else text for step, text in enumerate(case.steps)]
    )


def told(cases: Sequence[Case], flags: Sequence[bool]) -> dict[str, Any]:
    """How many of each label are flagged, in all and by version."""

    def counts(some: Iterable[tuple[Case, bool]]) -> dict[str, list[int]]:
        total, flagged = Counter[str](), Counter[str]()
        for case, flag in some:
            total[case.label] += 1
            flagged[case.label] += flag
        return {label: [flagged[label], total[label]] for label in sorted(total)}

    pairs = list(zip(cases, flags, strict=True))
    versions = sorted({case.version for case in cases})
    return {"all": counts(pairs)} | {
        version: counts(pair for pair in pairs if pair[0].version == version) for version in versions
    }


def is_leap(missed: Iterable[Edge]) -> bool:
    """Whether a value or a name is used that nothing says."""
    return any(edge.kind != "part" for edge in missed)


def unsupported(cases: Sequence[Case], model: str, cache_folder: str) -> list[bool]:
    """Whether the likelihood of the answer, statements masked, falls below what the re-check wants of a version."""
    scorer = Asked(TransformersModel(engine="transformers", model=model, max_model_len=16_384), cache_folder)

    def ask(case: Case) -> list[Any]:
        answer = _answer(case)
        kept = "".join(text for step, text in enumerate(case.steps) if step != case.removed)
        problem = Problem("", "", "", asked(case.question), answer, "math", "")
        whole = "".join(case.steps)
        versions = [without_statements(text, answer, problem, whole) for text in (whole, kept)]
        return [answer_request(case.question, text, answer, "math") for text in (*versions, "")] if answer else []

    found = []
    for answers in scorer.ask("cases", cases, ask):
        if not answers:
            found.append(False)
            continue
        support = Measured(*(likelihood(one).per_token for one in answers))
        found.append(support.pruned < support.least(Config().max_loss_nats_per_token))
    return found


def _answer(case: Case) -> str:
    return final_answer(case.answer, Problem("", "", "", asked(case.question), "", "math", ""))


def random_removals(seed: int = 17) -> tuple[dict[str, Any], list[tuple[Text, int, list[Edge]]]]:
    """The share of single sentences without which something dangles, by source and kind of edge."""
    rng, some = Random(seed), texts()
    flows: dict[str, Flow] = {}
    total, flagged, kinds = Counter[str](), Counter[str](), Counter[str]()
    found = []
    for _ in range(NUM_REMOVED):
        text = rng.choice(some)
        if text.id not in flows:
            flows[text.id] = Flow(text.question, text.steps)
        at = rng.randrange(len(text.steps))
        missed = flows[text.id].edges([None if step == at else one for step, one in enumerate(text.steps)])
        total[text.source] += 1
        flagged[text.source] += bool(missed)
        kinds.update({edge.kind for edge in missed})
        found.append((text, at, missed))
    rows = {source: [flagged[source], total[source]] for source in sorted(total)}
    return {"flagged": [flagged.total(), total.total()], "kinds": dict(sorted(kinds.items())), "sources": rows}, found


def halves(seed: int = 17) -> dict[str, Any]:
    """How many half traces dangle, of how many."""
    rng = Random(seed)
    total, dangling = Counter[str](), Counter[str]()
    for text in texts():
        flow = Flow(text.question, text.steps)
        gone = set(rng.sample(range(len(text.steps)), len(text.steps) // 2))
        missed = flow.edges([None if step in gone else one for step, one in enumerate(text.steps)])
        with_expressions = sum(bool(flow.reading(step, one).made) for step, one in enumerate(text.steps))
        for group in (text.source, *["prose"] * (with_expressions <= PROSE * len(text.steps))):
            total[group] += 1
            dangling[group] += bool(missed)
    return {group: [dangling[group], total[group]] for group in sorted(total)}


def versions() -> dict[str, Any]:
    """A row for each method and budget."""
    traces = list(real_traces(200, 52, "sentence"))
    found = {}
    for method, ratio in [
        *((m, r) for m in ("random", "head", "tail") for r in (0.5, 0.25, 0.12)),
        ("first_correct", None),
    ]:
        config = METHODS[method].Config(**({"ratio": ratio} if ratio else {}))
        dangling, sizes = 0, Counter[str]()
        for trace in traces:
            scores = TraceScores(
                trace.id, "", tuple(StepScore(0, 0, 0, 0, 0, len(text)) for text in trace.texts), "none", 0, 0, 0
            )
            (pruned,) = prune(PruneInput(trace, scores), method, config)
            assert isinstance(pruned, Pruned)
            version = Version(trace, pruned)
            back = mended(version, flow_of(trace), ())
            dangling += bool(back)
            sizes["whole"] += len(trace.thinking)
            sizes["pruned"] += len(version.proposed)
            sizes["mended"] += len(version.thinking_with(back))
        shares = {name: round(sizes[name] / sizes["whole"], 3) for name in ("pruned", "mended")}
        found[f"{method} {ratio or ''}".strip()] = {"dangles": [dangling, len(traces)], **shares}
    return found


def alarms(steps: Sequence[str]) -> list[Judged]:
    """The equations of a text that are false, corrected or not."""
    wrong = (Verdict.FALSE, Verdict.CORRECTED)
    return [one for one in judged(steps, [read(text) for text in steps]) if one.verdict in wrong]


def natural(show: bool) -> dict[str, Any]:
    """The verdicts on all equations, by source."""
    found: dict[str, Counter[str]] = {}
    for text in texts():
        counts = found.setdefault(text.source, Counter())
        steps = (*text.steps, text.response)
        for one in judged(steps, [read(step) for step in steps]):
            counts[one.verdict.value] += 1
            if show and one.verdict in (Verdict.FALSE, Verdict.CORRECTED):
                print(
                    f"{one.verdict} {text.id} {one.step}: {steps[one.step][max(one.equation.start - 60, 0) : one.equation.end + 40]!r}"
                )
    total = sum(found.values(), Counter[str]())
    return {"all": dict(sorted(total.items()))} | {
        source: dict(sorted(counts.items())) for source, counts in found.items()
    }


_SIGNS = {"+": "+", "-": "-", "−": "-", "*": "*", "×": "*", "/": "/", "÷": "/", "\\times": "*", "times": "*", "plus": "+", "minus": "-",
          "divided by": "/", "multiplied by": "*"}  # fmt: skip
_NUMBER = r"\$?\s?(\d[\d,]*(?:\.\d+)?)"
_EQUATION = re.compile(
    rf"(?<![\d.,/*+×÷=-])(?<![-+*/×÷=]\s){_NUMBER}[a-zA-Z ]{{0,20}}?\s*({'|'.join(map(re.escape, sorted(_SIGNS, key=len, reverse=True)))})"
    rf"\s*{_NUMBER}[a-zA-Z ]{{0,25}}?\s*(?:=|is|equals|,? which equals)\s*{_NUMBER}(?![\d,.]*\d|\s*[-+*/×÷^%(])"
)


class Planted(NamedTuple):
    """A right equation of two numbers, and where its result stands."""

    text: Text
    step: int
    start: int
    end: int


def right_equations() -> Iterator[Planted]:
    """Those that a pattern finds and that are exactly right."""
    for text in texts():
        for number, step in enumerate(text.steps):
            for found in _EQUATION.finditer(step):
                left, right, result = (Fraction(found[group].replace(",", "")) for group in (1, 3, 4))
                sign = _SIGNS[found[2]]
                value = (
                    left + right
                    if sign == "+"
                    else left - right
                    if sign == "-"
                    else left * right
                    if sign == "*"
                    else None
                )
                if value is None and right:
                    value = left / right
                if value == result:
                    yield Planted(text, number, *found.span(4))


def planted(show: bool, seed: int = 17) -> dict[str, Any]:
    """How many wrong digits are found, and how many alarms are wrong, by source."""
    by_source: dict[str, list[Planted]] = {}
    for one in right_equations():
        by_source.setdefault(one.text.source, []).append(one)
    rng, table = Random(seed), {}
    for source, candidates in sorted(by_source.items()):
        chosen = rng.sample(candidates, min(NUM_PLANTED, len(candidates)))
        found = wrong = 0
        for one in chosen:
            steps = list(one.text.steps)
            steps[one.step] = _misprinted(steps[one.step], one, rng)
            before = {(alarm.step, alarm.equation.start) for alarm in alarms(one.text.steps)}
            new = [alarm for alarm in alarms(steps) if (alarm.step, alarm.equation.start) not in before]
            at_place = [
                a for a in new if a.step == one.step and a.equation.start <= one.start and one.end <= a.equation.end + 1
            ]
            found += bool(at_place)
            wrong += len(new) - len(at_place)
            if show and not at_place:
                print(f"{source}: {steps[one.step][max(one.start - 70, 0) : one.end + 30]!r}")
        table[source] = {"candidates": len(candidates), "planted": len(chosen), "found": found, "wrong": wrong}
    sums = {key: sum(row[key] for row in table.values()) for key in ("planted", "found", "wrong")}
    return {"all": sums} | table


def _misprinted(step: str, one: Planted, rng: Random) -> str:
    digits = [place for place in range(one.start, one.end) if step[place].isdigit()]
    place = rng.choice(digits)
    other = rng.choice([d for d in "0123456789" if d != step[place] and not (place == digits[0] and d == "0")])
    return f"{step[:place]}{other}{step[place + 1 :]}"


def speed() -> dict[str, Any]:
    """MB and traces a second, the best of three passes over each source."""
    found = {}
    for source in sorted({text.source for text in texts()}):
        some = [text for text in texts() if text.source == source]
        size, best = sum(len(step.encode()) for text in some for step in text.steps), float("inf")
        for _ in range(3):
            started = time.process_time()
            for text in some:
                flow = Flow(text.question, text.steps)
                flow.edges(text.steps)
                arithmetic(text.steps, [flow.reading(step, one) for step, one in enumerate(text.steps)])
            best = min(best, time.process_time() - started)
        found[source] = {"mb_per_second": round(size / best / 1e6, 2), "traces_per_second": round(len(some) / best)}
    return found


def asked_for() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scorer", help="a model folder: asks for the likelihood of the answer, too")
    parser.add_argument("--cache", default="data/cache")
    parser.add_argument("--show", choices=["wrong", "alarms", "planted", "flagged"], help="prints these, a line each")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=["cases", "random", "versions", "natural", "planted", "speed"],
        help="these parts alone",
    )
    return parser.parse_args()


def main() -> None:
    """Prints the line."""
    options = asked_for()
    parts = options.only or ["cases", "random", "versions", "natural", "planted", "speed"]
    row: dict[str, Any] = {"bench": "coherence"}
    if "cases" in parts:
        for name, cases in (("handed", list(handed_cases(bool(options.scorer)))), ("own", list(own_cases()))):
            missed = [edges(case) for case in cases]
            row[name] = told(cases, [is_leap(one) for one in missed])
            row[f"{name}, parts alone"] = told(cases, [bool(one) and not is_leap(one) for one in missed])["all"]
            if options.scorer:
                row[f"{name} by likelihood"] = told(cases, unsupported(cases, options.scorer, options.cache))
            if options.show == "wrong":
                _show_wrong(cases, missed)
    if "random" in parts:
        row["random"], removals = random_removals()
        row["halves"] = halves()
        if options.show == "flagged":
            for text, at, missed in removals:
                if missed:
                    print(
                        json.dumps(
                            {
                                "id": text.id,
                                "removed": at,
                                "text": text.steps[at],
                                "edges": [edge.said for edge in missed],
                            }
                        )
                    )
    if "versions" in parts:
        row["versions"] = versions()
    if "natural" in parts:
        row["natural"] = natural(options.show == "alarms")
    if "planted" in parts:
        row["planted"] = planted(options.show == "planted")
    if "speed" in parts:
        row["speed"] = speed()
    print(json.dumps(row))


def _show_wrong(cases: Sequence[Case], missed: Sequence[Sequence[Edge]]) -> None:
    for case, found in zip(cases, missed, strict=True):
        if case.label in ("damage", "masked", "harmless") and (case.label != "harmless") != is_leap(found):
            print(
                json.dumps(
                    {
                        "id": case.id,
                        "label": case.label,
                        "removed": case.steps[case.removed],
                        "edges": [edge.said for edge in found],
                    }
                )
            )


if __name__ == "__main__":
    main()
