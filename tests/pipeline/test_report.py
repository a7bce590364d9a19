"""What the report says of difficulty and of verdicts, so that losing the hard problems is seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.params import load
from pipeline.paths import Paths
from pipeline.report.breakdown import correct_traces, difficulty, outcomes, teachers, undecided_reasons
from pipeline.report.metrics import by_method, tokens_csv
from pipeline.report.page import page
from pipeline.report.samples import Sample, looks, samples
from pipeline.report.summary import summary
from tests.builders import rechecked
from tests.conftest import REPO
from transforms.core import schema
from transforms.core.records import Arithmetic, Decision, Edge, Kept, Pruned, Rechecked, SegmentedTrace, Verdict
from transforms.steps.splitting import split_steps
from transforms.steps.versions import Version

BANDS = (0.25, 0.5, 0.75, 1.0)


def verdicts(problem: str, correct: int, judged: int, **more: Any) -> list[Verdict]:
    return [
        Verdict(
            f"{problem}/{n}", problem, "f", "correct" if n < correct else "incorrect", "5", "boxed/math", "", **more
        )
        for n in range(judged)
    ]


# f is never judged; g has samples, all of which the teacher failed
JUDGED = [*verdicts("a", 0, 4), *verdicts("b", 1, 4), *verdicts("c", 1, 4), *verdicts("d", 2, 4), *verdicts("e", 4, 4)]
FOUND = difficulty("abcdefg", JUDGED, ["b", "b", "g"], ["b", "e", "e"], BANDS)


def test_problems_by_pass_rate() -> None:
    assert list(FOUND) == ["0", "(0, 0.25]", "(0.25, 0.5]", "(0.5, 0.75]", "(0.75, 1]", "unjudged"]
    assert FOUND["(0, 0.25]"] == {
        "max_pass_rate": 0.25,
        "problems": 2,
        "samples": 10,
        "correct": 2,
        "problems_solved": 2,
        "problems_with_example": 1,
        "examples": 1,
        "lost_share": 0.5,
    }
    assert FOUND["0"]["problems"] == 2
    assert FOUND["0"]["lost_share"] == 1.0
    assert (FOUND["(0.75, 1]"]["examples"], FOUND["(0.75, 1]"]["problems_with_example"]) == (2, 1)
    assert (FOUND["(0.5, 0.75]"]["problems"], FOUND["(0.5, 0.75]"]["lost_share"]) == (0, 0.0)
    assert (FOUND["unjudged"]["problems"], FOUND["unjudged"]["samples"]) == (1, 0)


@given(st.dictionaries(st.text(max_size=3), st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=20))
def test_every_problem_is_in_one_band(counts: dict[str, tuple[int, int]]) -> None:
    judged = [verdict for problem, pair in counts.items() for verdict in verdicts(problem, min(pair), max(pair))]
    found = difficulty(counts, judged, [], [verdict.problem_id for verdict in judged[:7]], (0.3, 1.0))
    assert sum(band["problems"] for band in found.values()) == len(counts)
    assert sum(band["samples"] for band in found.values()) == len(judged)
    assert sum(band["correct"] for band in found.values()) == len(correct_traces(judged))
    assert sum(band["examples"] for band in found.values()) == len(judged[:7])


def test_verdicts_by_what_they_were_judged_against() -> None:
    found = outcomes([*verdicts("a", 1, 3), *verdicts("b", 2, 2, reference="vote")], "reference")
    assert found == {
        "given": {"correct": 1, "incorrect": 2, "undecided": 0},
        "vote": {"correct": 2, "incorrect": 0, "undecided": 0},
    }


def test_the_most_frequent_reasons_come_first_and_are_few() -> None:
    reasons = ["no answer", "words", "no answer", *(f"rare {n}" for n in range(20)), "x" * 500]
    undecided = [Verdict("i", "p", "f", "undecided", "", "extract", reason) for reason in reasons]
    found = undecided_reasons([*undecided, *verdicts("a", 1, 2)])
    assert found[:2] == [
        {"rule": "extract", "reason": "no answer", "count": 2},
        {"rule": "extract", "reason": "rare 0", "count": 1},
    ]
    assert len(found) == 8
    assert undecided_reasons(undecided[-1:])[0]["reason"] == "x" * 100


METRICS: dict[str, Any] = {
    "asked_examples": None,
    "teachers": {"m": {"traces": 9, "correct": 5, "recorded": 0, "agree": 0, "examples": 2}},
    "examples": {"total": 3, "train": 3, "validation": 0},
    "verified_share": 0.4,
    "traces": 20,
    "samples": 24,
    "problems": 6,
    "thinking_tokens": {"kept_share": 0.8, "before": 10, "after": 8},
    "methods": {},
    "families": {},
    "dropped": {},
    "chosen_methods": {},
    "verdicts_by_reference": outcomes(JUDGED, "reference"),
    "verdicts_by_rule": outcomes(JUDGED, "rule"),
    "undecided_reasons": [{"rule": "extract", "reason": "<i>none</i>", "count": 2}],
    "difficulty": FOUND,
    "opinions": {
        "labels": {"actions": {"delete": 40}},
        "degenerate": {"actions": "delete"},
        "steps": 40,
        "undecided": 2,
        "rewrites": 1,
    },
}


def hardest(problems: str) -> str:
    lines = summary(
        {**METRICS, "difficulty": difficulty(problems, JUDGED, [], ["b"], BANDS)}, Paths("data")
    ).splitlines()
    (line,) = (line.strip() for line in lines if "never solved" in line)
    return line


def test_the_summary_names_the_hardest_problems() -> None:
    assert hardest("abcdef") == (
        "hardest problems (pass rate ≤ 25%): 1 of 2 gave an example; never solved: 1, not judged: 1"
    )
    assert hardest("ade") == "hardest problems (pass rate ≤ 50%): 0 of 1 gave an example; never solved: 1"
    assert hardest("a") == "problems never solved: 1"
    assert hardest("ae") == "problems never solved: 1"  # of those always solved nothing is hard


def test_the_summary_says_what_was_voted_on() -> None:
    voted = outcomes(verdicts("a", 2, 3, reference="vote"), "reference")
    assert "40% of 24 samples verified correct (2 by vote), over 6" in summary(
        {**METRICS, "verdicts_by_reference": voted}, Paths("data")
    )
    assert "40% of 24 samples verified correct, over 6" in summary(METRICS, Paths("data"))


def test_rates_of_pass_roll_back_and_give_up_by_family() -> None:
    traces = [
        rechecked("a", "passed", support_after_nats_per_token=-1.5, answer_loglik_pruned_nats_per_token=-1.3),
        rechecked("b", "rolled_back", supported=False, support_pruned_nats_per_token=-2.5, num_tokens_pruned=3),
        rechecked("c", "gave_up", support_pruned_nats_per_token=math.nan),
        rechecked("d", "original_fails", outcome="incorrect"),
    ]
    found = by_method(pairs(traces), correct("a", "b", "c", "d") | {"c": "other"})
    assert found["rates"] == {"passed": 0.3333, "mended": 0.0, "rolled_back": 0.3333, "gave_up": 0.3333}
    assert found["families"] == {
        "other": {"passed": 0.0, "mended": 0.0, "rolled_back": 0.0, "gave_up": 1.0},
        "test": {"passed": 0.5, "mended": 0.0, "rolled_back": 0.5, "gave_up": 0.0},
    }
    assert (found["correct_traces"], found["unsupported_traces"]) == (3, 1)
    assert found["mean_support_change_nats_per_token"] == pytest.approx(-0.1667)
    assert found["mean_pruned_loglik_change_nats_per_token"] == -0.1
    assert found["mean_pruned_support_change_nats_per_token"] == -0.75
    shown = page({**METRICS, "methods": {"asap": found}}, [])
    assert "-0.750" in shown
    assert (found["tokens_pruned"], '<td class="n">21</td>' in shown) == (21, True)


def test_what_is_over_the_budget_unsupported_and_rewritten_is_counted_and_shown() -> None:
    rewritten = (Decision(0, "rewrite", "compress", 0.0, "5."),)
    traces = [
        rechecked("a", "passed", shortfall="8 tokens stay where 2 may", supported=False),
        rechecked("b", "passed", decisions=rewritten),
        rechecked("c", "rolled_back", decisions=rewritten, given_back=(0,)),
    ]
    found = by_method(pairs(traces), correct("a", "b", "c"))
    assert (found["shortfall_traces"], found["unsupported_traces"], found["rewrites"]) == (1, 1, 1)
    metrics = {**METRICS, "methods": {"drp": found}}
    assert "0 given up, 1 over the budget" in summary(metrics, Paths("data"))
    shown = page(metrics, [Sample(traces[2], looks(traces[2])), Sample(traces[0], [])])
    assert "1 of 3 correct traces do not support their answer" in shown
    assert "1 rewrites written, 1 in traces of drp" in shown
    assert "the original does not support its answer" in shown
    assert '<pre class="back"' in shown
    assert "compress, given back" in shown
    assert "1 of 3 originals do not support their answer" in summary(metrics, Paths("data"))
    assert "originals" not in summary(METRICS, Paths("data"))


def test_steps_that_stand_together_and_share_a_reason_are_shown_as_one() -> None:
    thinking = "A.\n\nB.\n\nC.\n\nD.\n\nE.\n\nF.\n\nG."
    decided = [
        ("keep", "k"),
        ("delete", "x"),
        ("delete", "x"),
        ("delete", "y"),
        ("rewrite", "r"),
        ("rewrite", "r"),
        ("delete", "y"),
    ]
    texts = {4: "4\n\n", 5: "5\n\n"}
    decisions = tuple(Decision(n, action, why, 0.0, texts.get(n, "")) for n, (action, why) in enumerate(decided))
    trace = rechecked(
        "a", "rolled_back", thinking=thinking, steps=split_steps(thinking), decisions=decisions, given_back=(6,)
    )
    shown = [(step["text"], step["look"], step["rewritten"], step["reason"]) for step in looks(trace)]
    assert shown == [
        ("A.", "", "", "k"), ("B.\n\nC.", "gone", "", "x"), ("D.", "gone", "", "y"), ("E.", "gone", "4", "r"),
        ("F.", "gone", "5", "r"), ("G.", "back", "", "y"),
    ]  # fmt: skip


def test_methods_are_shown_by_family_where_there_are_several() -> None:
    found = by_method(pairs([rechecked("a", "passed"), rechecked("b", "gave_up")]), correct("a") | {"b": "other"})
    family = {"samples": 1, "verified_share": 1.0, "problems_solved": 1, "problems": 1, "examples": 1}
    metrics = {**METRICS, "methods": {"drp": found}, "families": {"test": family, "other": family}}
    assert '<td class="n">100%, 0%</td><td class="n">0%, 100%</td>' in page(metrics, [])
    assert "by family" not in page({**metrics, "families": {"test": family}}, [])


def test_a_trace_that_lost_the_vote_is_no_correct_one(tmp_path: Path) -> None:
    """The re-check compares it with itself; the verdict decides."""
    traces = [rechecked(f"p/{n}", "passed") for n in range(2)]
    params = load(str(REPO / "params.yaml"), ["prune.methods=[keep_all]"])
    lines = tokens_csv(params, store(tmp_path, traces), correct("p/1")).splitlines()
    assert lines[1:] == ["p/1,keep_all,test,passed,9,9"]
    assert by_method(pairs(traces), correct("p/1"))["tokens_before"] == 9


def pairs(versions: Sequence[Version]) -> list[tuple[Pruned, Rechecked]]:
    return [(version.pruned, version.result) for version in versions]


def correct(*ids: str) -> dict[str, str]:
    return dict.fromkeys(ids, "test")


def store(path: Path, versions: Sequence[Version], kept: Sequence[Kept] = ()) -> Paths:
    """A data folder with these versions of keep_all."""
    paths = Paths(str(path))
    parts: dict[str, tuple[type, list[Any]]] = {
        "steps": (SegmentedTrace, [version.trace for version in versions]),
        "pruned/keep_all": (Pruned, [version.pruned for version in versions]),
        "rechecked/keep_all": (Rechecked, [version.result for version in versions]),
        "kept": (Kept, list(kept)),
    }
    for name, (record, rows) in parts.items():
        folder = paths.folder(name)
        folder.begin({})
        folder.write(0, len(rows), {"": schema.to_table(record, rows)}, [])
        folder.finish({}, 1)
    return paths


def test_the_version_that_was_given_the_most_back_is_shown_last(tmp_path: Path) -> None:
    traces = [
        rechecked("a", "passed"),
        rechecked("b", "rolled_back", num_tokens_pruned=4),
        rechecked("c", "rolled_back", num_tokens_pruned=2),
        rechecked("d", "rolled_back", num_tokens_pruned=2),
    ]
    paths = store(tmp_path, traces, [Kept("a", "keep_all", 1, 1, "given", 1.0)])
    assert [sample.version.id for sample in samples(paths, ["keep_all"], 2)] == ["a", "c"]
    assert samples(paths, ["keep_all"], 0) == []


def test_no_version_is_shown_twice(tmp_path: Path) -> None:
    """The rate of a version without completions is NaN, which equals nothing."""
    traces = [rechecked("a", "rolled_back", num_tokens_pruned=2), rechecked("b", "rolled_back", num_tokens_pruned=4)]
    paths = store(tmp_path, traces, [Kept("a", "keep_all", 1, 1, "given", 1.0)])
    assert [sample.version.id for sample in samples(paths, ["keep_all"], 1)] == ["a", "b"]


def test_the_page_shows_what_was_lost() -> None:
    text = page(METRICS, [])
    rows = [" ".join(row.split()) for row in text.split("<tr>")]
    (row,) = (row for row in rows if "(0, 0.25]" in row)
    assert "<small>1 of 2</small>" in row
    assert '<i style="width: 50.0%">' in row
    assert "50%</td></tr>" in row
    assert "0: never solved" in text
    assert "&lt;i&gt;none" in text
    assert '<b>Nearly all actions are "delete": they say nothing.</b>' in text


def test_teachers_are_told_apart_and_compared_with_what_was_recorded() -> None:
    judged = verdicts("a", 1, 2)  # one of two correct
    ids = [verdict.id for verdict in judged]
    traces = [(ids[0], "one", "correct"), (ids[1], "two", "correct")]
    assert teachers(traces, judged, ["one"]) == {
        "one": {"traces": 1, "correct": 1, "recorded": 1, "agree": 1, "examples": 1},
        "two": {"traces": 1, "correct": 0, "recorded": 1, "agree": 0, "examples": 0},
    }


def test_what_dangled_was_mended_and_computes_something_false_is_counted_and_shown() -> None:
    edge = Edge(2, "value", "12", 0)
    traces = [
        rechecked("a", "mended", dangling=(edge,), mended=(0,), given_back=(0,), arithmetic=Arithmetic(3, 1, 0, 0, 2)),
        rechecked("b", "rolled_back", dangling=(edge,), mended=(0,), given_back=(0, 1)),
        rechecked("c", "passed", arithmetic=Arithmetic(1, 0, 2, 1, 0, ("1 + 1 = 3", "2 + 2 = 5"))),
        rechecked("d", "passed"),
    ]
    found = by_method(pairs(traces), correct("a", "b", "c", "d"))
    assert found["rates"] == {"passed": 0.5, "mended": 0.25, "rolled_back": 0.25, "gave_up": 0.0}
    assert (found["dangling_share"], found["mended_share"]) == (0.5, 0.25)
    assert found["equations"] == {"true": 4, "rounded": 1, "false": 2, "corrected": 1, "unknown": 2}
    metrics = {**METRICS, "methods": {"asap": found}, "dropped": {"kept": {"false_arithmetic": 3}}}
    said = summary(metrics, Paths("data"))
    assert "asap: 100% of the tokens of 4 correct traces kept, 25% mended, 1 rolled back, 0 given up" in said
    assert "3 versions dropped, as they compute something false" in said
    assert "compute something false" not in summary(METRICS, Paths("data"))
    shown = page(metrics, [])
    assert '<td class="n">50%</td><td class="n">2</td><td class="n">1</td><td class="n">1</td>' in shown
    assert (
        '<td class="n">4</td><td class="n">1</td><td class="n">2</td><td class="n">1</td><td class="n">2</td>' in shown
    )


def test_a_restored_step_says_for_what_it_came_back() -> None:
    thinking = "3 × 4 = 12.\n\nHm.\n\n12 − 5 = 7."
    decisions = (Decision(0, "delete", "x"), Decision(1, "delete", "x"), Decision(2, "keep", "k"))
    trace = rechecked(
        "a", "mended", thinking=thinking, steps=split_steps(thinking), decisions=decisions, given_back=(0,), mended=(0,),
        dangling=(Edge(2, "value", "12", 0),),
    )  # fmt: skip
    assert [(step["look"], step["reason"]) for step in looks(trace)] == [
        ("back", "x; needed for 12 in step 2"),
        ("gone", "x"),
        ("", "k"),
    ]
