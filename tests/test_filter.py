"""Correct, unique, capped, spread over difficulty: decided by ids and numbers, whatever the order."""

from __future__ import annotations

import math
import random
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.builders import changed, problem, rechecked, segmented
from tests.conftest import collect
from transforms import filter
from transforms.core import schema
from transforms.core.drops import Drop, Reason
from transforms.core.records import Arithmetic, Kept, Pruned, Rechecked, SegmentedTrace, Trace, Verdict, problem_of
from transforms.selection.difficulty import band_name, band_of, quotas
from transforms.selection.sketches import shingles, similarity, sketch
from transforms.selection.versions import (
    Candidate,
    Chosen,
    Config,
    Decision,
    Rule,
    choose,
    last_places,
    place,
    within,
)
from transforms.shards.mapping import Job, MapShards, Shard
from transforms.steps.versions import Version
from transforms.storage.folders import StageFolder
from transforms.storage.parts import read_part, read_rows

METHODS = ("keep_all", "first_correct", "third")
OUTCOMES = ["correct", "incorrect", "undecided"]


def version(trace: str, method: int, tokens: int, outcome: str = "correct", text: str = "", **more: Any) -> Candidate:
    words = text or f"only {trace} {method} says this and nothing else"
    values = {
        "mean_logprob_nats": -1.0,
        "status": "passed",
        "arithmetic": Arithmetic(),
        "sketch": sketch(words),
        "shard": 0,
        "row": 0,
    } | more
    return Candidate(trace, method, tokens, outcome=outcome, text=words.encode(), **values)


def rule(**config: Any) -> Rule:
    return Rule(Config(**config), METHODS, 17)


def decide(versions: list[Candidate], **config: Any) -> dict[tuple[str, int], str]:
    """(trace, method) → "" if chosen, else the reason and the detail."""
    found = list(choose(versions, 2, 4, rule(**config)))
    assert len(found) == len(versions)
    return {
        (v.trace_id, v.method): f"{o.reason} {o.method}: {o.detail}" if isinstance(o, Reason) else "" for v, o in found
    }


def chosen(versions: list[Candidate], **config: Any) -> list[str]:
    return [trace for (trace, _), reason in decide(versions, **config).items() if not reason]


# In one problem.


def test_the_portfolio_takes_the_shortest_and_the_first_named_of_equals() -> None:
    versions = [version("a", 0, 50), version("a", 1, 40), version("b", 0, 60), version("b", 1, 60)]
    assert decide(versions, max_per_problem=2) == {
        ("a", 0): "longer_version keep_all: first_correct made it as short or shorter",
        ("a", 1): "",
        ("b", 0): "",
        ("b", 1): "longer_version first_correct: keep_all made it as short or shorter",
    }
    assert decide(versions)["b", 0] == (
        "not_chosen keep_all: filter.max_per_problem = 1 other of the problem come first (shortest)"
    )


def test_the_portfolio_leaves_baselines_out() -> None:
    versions = [version("a", 0, 50), version("a", 1, 40), version("a", 2, 10)]
    assert decide(versions, portfolio_without=("third",)) == {
        ("a", 0): "longer_version keep_all: first_correct made it as short or shorter",
        ("a", 1): "",
        ("a", 2): "not_chosen third: it is one of filter.portfolio_without",
    }
    assert chosen(versions, portfolio_without=("third",), method="third") == ["a"]
    assert {"random", "head", "tail"} == set(Config().portfolio_without)


def test_a_named_method_takes_its_own() -> None:
    versions = [version("a", 0, 50), version("a", 1, 40)]
    assert decide(versions, method="keep_all") == {
        ("a", 0): "",
        ("a", 1): "not_chosen first_correct: filter.method is keep_all",
    }


def test_only_what_is_verified_can_stay() -> None:
    versions = [
        version("a", 0, 1, "incorrect"),
        version("b", 0, 1, "undecided"),
        version("c", 0, 1, status="original_fails"),
        version("d", 0, 50, status="rolled_back"),
    ]
    assert {trace: reason.split(":")[0] for (trace, _), reason in decide(versions, max_per_problem=9).items()} == {
        "a": "incorrect keep_all",
        "b": "undecided keep_all",
        "c": "undecided keep_all",
        "d": "",
    }


def test_the_order_of_a_problems_traces() -> None:
    versions = [
        version("a", 0, 30, mean_logprob_nats=-0.5),
        version("b", 0, 10, mean_logprob_nats=math.nan),
        version("c", 0, 20, mean_logprob_nats=-0.1),
        version("d", 0, 20, mean_logprob_nats=-0.9),
    ]
    assert chosen(versions, max_per_problem=4) == ["b", "c", "d", "a"]
    assert chosen(versions, max_per_problem=2) == ["b", "c"]
    assert chosen(versions, max_per_problem=4, choose="most_probable") == ["c", "a", "d", "b"]
    by_chance = chosen(versions, max_per_problem=4, choose="random")
    assert sorted(by_chance) == ["a", "b", "c", "d"]
    assert by_chance == chosen(versions[::-1], max_per_problem=4, choose="random")
    orders = [[v.trace_id for v, _ in choose(versions, 4, 4, rule(choose="random")._replace(seed=s))] for s in range(9)]
    assert len({tuple(order) for order in orders}) > 1


WORDS = [f"w{number}" for number in range(100)]
TEXT = " ".join(WORDS)
ALIKE = " ".join([*WORDS, "end"])  # 98 of 99 runs of three words in common


def test_of_repeats_the_first_in_the_order_stays() -> None:
    versions = [
        version("a", 0, 9, text=ALIKE),
        version("b", 0, 7, text=TEXT),
        version("c", 0, 8, text=TEXT),
        version("d", 0, 9),
    ]
    found = decide(versions, max_per_problem=3)
    assert found["b", 0] == found["d", 0] == ""
    assert found["c", 0] == "duplicate_trace keep_all: the same text as b"
    assert found["a", 0].startswith("near_duplicate_trace keep_all: 0.")
    assert found["a", 0].endswith(" similar to b")
    # They do not take the place of others, and are told apart from those that come too late.
    assert chosen(versions, max_per_problem=2) == ["b", "d"]
    assert "duplicate" in decide(versions)["c", 0]
    assert chosen(versions[:3], max_per_problem=3, max_similarity=None) == ["b", "a"]
    assert chosen(versions[:3], max_per_problem=3, max_similarity=1.0) == ["b", "a"]


def test_likeness_is_the_jaccard_similarity_of_word_runs() -> None:
    assert shingles("So 2 +\n\n3 = 5") == {"so 2 +", "2 + 3", "+ 3 =", "3 = 5"}
    assert shingles("Two words") == {"two words"}
    assert shingles("") == {""}
    assert similarity(sketch("A  b c d"), sketch("a b\nc d")) == 1.0
    assert similarity(sketch(TEXT), sketch(ALIKE)) > 0.9
    assert similarity(sketch("a b c d e"), sketch("e d c b a")) == 0.0
    assert len(sketch(TEXT)) == 512
    assert sketch("2 + 3 = 5")[:8].hex() == "6945572a343fc365"  # another library or seed would decide otherwise


@given(st.integers(5, 60), st.integers(0, 60), st.integers(0, 2**32))
def test_the_estimate_is_near_the_exact_similarity(size: int, changed: int, seed: int) -> None:
    chance = random.Random(seed)
    words = [str(chance.random()) for _ in range(size)]
    other = [word if number >= changed else f"x{word}" for number, word in enumerate(words)]
    first, second = shingles(" ".join(words)), shingles(" ".join(other))
    exact = len(first & second) / len(first | second)
    estimate = similarity(sketch(" ".join(words)), sketch(" ".join(other)))
    assert abs(estimate - exact) <= 6 * math.sqrt(max(exact * (1 - exact), 1e-12) / 128)


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.integers(0, 2), st.integers(1, 4), st.sampled_from(OUTCOMES)),
        unique_by=lambda v: v[:2],
    ),
    st.integers(1, 3),
    st.sampled_from(["shortest", "random", "most_probable"]),
    st.randoms(),
)
def test_order_free_and_capped(rows: list[Any], n: int, order: str, chance: Any) -> None:
    versions = [
        version(trace, method, tokens, outcome, row=row) for row, (trace, method, tokens, outcome) in enumerate(rows)
    ]
    shuffled = list(versions)
    chance.shuffle(shuffled)
    by = rule(max_per_problem=n, choose=order)
    first, second = list(choose(versions, 1, 1, by)), list(choose(shuffled, 1, 1, by))
    assert sorted(first, key=lambda d: d.version.row) == sorted(second, key=lambda d: d.version.row)
    assert sorted(d.version.row for d in first) == list(range(len(rows)))
    stays = [d.version for d in first if isinstance(d.outcome, Chosen)]
    assert all(v.outcome == "correct" for v in stays)
    assert (
        len({v.trace_id for v in stays})
        == len(stays)
        == min(n, len({v.trace_id for v in versions if v.outcome == "correct"}))
    )


# Over all problems.


def dealt(sizes: list[int], total: int) -> list[int]:
    """The oracle: one after another, the first band first, to each that has some left."""
    shares = [0] * len(sizes)
    while total and shares != sizes:
        for number, size in enumerate(sizes):
            if total and shares[number] < size:
                shares[number] += 1
                total -= 1
    return shares


@given(st.lists(st.integers(0, 12), max_size=6), st.integers(0, 50))
def test_shares_are_those_of_dealing_one_by_one(sizes: list[int], total: int) -> None:
    assert quotas(sizes, total) == dealt(sizes, total)
    assert sum(quotas(sizes, total)) == min(sum(sizes), total)


def test_what_a_band_does_not_have_the_others_give() -> None:
    assert quotas([10, 10, 10, 10], 20) == [5, 5, 5, 5]
    assert quotas([1, 0, 10, 10], 20) == [1, 0, 10, 9]
    assert quotas([10, 10, 10], 11) == [4, 4, 3]  # the hardest first
    assert quotas([3, 2], 100) == [3, 2]


def test_bands_of_pass_rate() -> None:
    bands = (0.25, 0.5, 0.75, 1.0)
    assert [band_of(correct, 8, bands) for correct in range(1, 9)] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert [band_name(number, bands) for number in range(4)] == ["(0, 0.25]", "(0.25, 0.5]", "(0.5, 0.75]", "(0.75, 1]"]
    assert band_of(3, 10, (0.3, 1.0)) == 0
    assert band_name(0, (1.0,)) == "(0, 1]"


@given(st.lists(st.tuples(st.integers(1, 8), st.booleans()), max_size=40), st.integers(1, 30), st.integers(0, 5))
def test_a_fixed_number_in_equal_shares(traces: list[tuple[int, bool]], total: int, seed: int) -> None:
    """Only the first `num_examples` of a band are looked at, and this is as if all were."""
    by = rule(num_examples=total, balance="difficulty")._replace(seed=seed)
    decisions = [
        Decision(
            version(f"p-{number}/0", 0, 5, text="-"), Chosen(correct, 8) if stays else Reason("incorrect", "x: no")
        )
        for number, (correct, stays) in enumerate(traces)
    ]
    places: dict[int, list[Any]] = {}
    for v, outcome in decisions:
        if isinstance(outcome, Chosen):
            places.setdefault(band_of(outcome.num_correct, 8, by.config.bands), []).append(place(v, seed))
    first = {number: sorted(found)[:total] for number, found in places.items()}
    found = [within(decision, last_places(first, by.config), by) for decision in decisions]
    counts = Counter(band_of(d.outcome.num_correct, 8, by.config.bands) for d in found if isinstance(d.outcome, Chosen))
    assert [counts[number] for number in range(4)] == dealt([len(places.get(number, ())) for number in range(4)], total)
    for before, after in zip(decisions, found, strict=True):
        assert before == after or isinstance(before.outcome, Chosen)


# The stage.


def trace(number: int, sample: int, method: str, tokens: int, text: str = "") -> Version:
    thinking = text or f"{number} {sample} thinks of {number * sample} alone"
    made = segmented(thinking, "It is 5.", problem(id=f"p-{number}"), id=f"p-{number}/{sample}")
    seen = {"num_tokens_before": 99, "num_tokens_pruned": tokens, "num_tokens_after": tokens}
    return changed(rechecked(made.id), **vars(made), method=method, **seen)


def verdict(number: int, sample: int, outcome: str, **more: Any) -> Verdict:
    return Verdict(f"p-{number}/{sample}", f"p-{number}", "test", outcome, "5", "boxed/math", "", **more)


def outcome_of(number: int, sample: int) -> str:
    """Of four samples, problem 0 has one that is correct, problem 1 two, …, problem 4 one again."""
    return "correct" if sample <= number % 4 else "incorrect"


NUMBERS = [(number, sample) for number in range(24) for sample in range(4)]


def run(
    folder: Path,
    parts: list[list[tuple[int, int]]],
    seed: int = 17,
    failed: tuple[tuple[str, str, str], ...] = (),
    **config: Any,
) -> StageFolder:
    """The stage over parts of these (problem, sample), made by two methods: the second's are shorter."""
    methods = METHODS[:2]
    tokens = {"keep_all": lambda sample: 99, "first_correct": lambda sample: 50 + sample}
    records: dict[str, Any] = {"steps": (SegmentedTrace, lambda n, s: trace(n, s, "-", 99).trace)}
    for method in methods:
        made = partial(lambda n, s, method: trace(n, s, method, tokens[method](s)), method=method)
        records[f"pruned-{method}"] = (Pruned, lambda n, s, made=made: made(n, s).pruned)
        records[f"rechecked-{method}"] = (Rechecked, lambda n, s, made=made: made(n, s).rechecked)
    records["verdicts"] = (Verdict, lambda n, s: verdict(n, s, outcome_of(n, s), reference="vote", agreement=0.5))
    for name, (record, make) in records.items():
        stage = StageFolder(str(folder / name))
        stage.begin({})
        for number, rows in enumerate(parts):
            stage.write(number, len(rows), {"": schema.to_table(record, [make(*row) for row in rows])}, [])
        stage.finish({}, len(parts))
    paths = zip(*(StageFolder(str(folder / name)).part_paths() for name in records), strict=True)
    out = StageFolder(str(folder / "kept"))
    out.begin({})
    traces = StageFolder(str(folder / "traces"))
    traces.begin({})
    traces.write(0, len(failed), {"": schema.to_table(Trace, [])}, [Drop(*row, "") for row in failed])
    traces.finish({}, 1)
    stage_of = filter.ChooseVersions(Config(**config), methods, seed, traces.drops_path()) | MapShards(
        Job("filter", Kept, filter.read_versions, filter.keep), out.path
    )
    collect(stage_of, [Shard(number, source) for number, source in enumerate(paths)])
    out.finish({}, len(parts))
    return out


def outcome_rows(folder: StageFolder) -> tuple[list[Kept], list[Drop]]:
    kept = sorted(read_rows(Kept, folder.part_paths()), key=lambda row: row.id)
    drops = read_part(Drop, f"{folder.path}/drops.parquet")
    return kept, sorted(drops, key=lambda row: (row.id, row.method))


@pytest.mark.parametrize(
    "config",
    [
        {"choose": "random", "max_per_problem": 2},
        {"num_examples": 10, "max_per_problem": 3},
        {"num_examples": 10, "balance": "difficulty", "max_per_problem": 2},
    ],
)
def test_neither_order_nor_sharding_matters(config: dict[str, Any], tmp_path: Path) -> None:
    shuffled = random.Random(1).sample(NUMBERS, len(NUMBERS))
    sharded = {
        "one": [NUMBERS],
        "many": [NUMBERS[n : n + 13] for n in range(0, 96, 13)],
        "mixed": [shuffled[:50], shuffled[50:]],
    }
    kept, drops = outcome_rows(run(tmp_path / "one", sharded["one"], **config))
    for name in ("many", "mixed"):
        assert outcome_rows(run(tmp_path / name, sharded[name], **config)) == (kept, drops)
    assert len(kept) + len(drops) == 2 * 96
    assert len({(drop.id, drop.method) for drop in drops}) == len(drops)  # told apart by the method
    another, _ = outcome_rows(run(tmp_path / "seed", sharded["one"], seed=18, **config))
    assert [row.id for row in another] != [row.id for row in kept]


def test_examples_are_spread_over_difficulty(tmp_path: Path) -> None:
    """Six problems each have 1, 2, 3 and 4 correct traces: 6, 12, 18 and 24 candidates."""
    config = {"num_examples": 30, "max_per_problem": 4}
    balanced, drops = outcome_rows(run(tmp_path / "balanced", [NUMBERS], balance="difficulty", **config))
    assert Counter(row.num_correct for row in balanced) == {1: 6, 2: 8, 3: 8, 4: 8}
    as_they_come, _ = outcome_rows(run(tmp_path / "plain", [NUMBERS], **config))
    assert len(as_they_come) == 30
    assert Counter(row.num_correct for row in as_they_come)[4] > 8
    assert len(outcome_rows(run(tmp_path / "few", [NUMBERS], **config | {"num_examples": 1000}))[0]) == 60
    details = {drop.detail for drop in drops if "num_examples" in drop.detail}
    assert "the examples of pass rate (0.25, 0.5] are beyond filter.num_examples = 30" in details
    assert not any("(0, 0.25]" in detail for detail in details)


def test_kept_traces_say_how_hard_and_what_against(tmp_path: Path) -> None:
    kept, _ = outcome_rows(run(tmp_path, [NUMBERS]))
    assert len(kept) == 24
    assert {(row.id, row.num_correct, row.num_samples) for row in kept} >= {("p-0/0", 1, 4), ("p-7/0", 4, 4)}
    assert {(row.method, row.reference, row.agreement) for row in kept} == {("first_correct", "vote", 0.5)}


def test_texts_are_equal_if_training_sees_no_difference() -> None:
    by = rule()
    first = filter.candidate(trace(0, 0, "keep_all", 9, "So 5."), verdict(0, 0, "correct"), 0, 0, by)
    spaced = filter.candidate(trace(0, 1, "keep_all", 9, "So 5.\n\n"), verdict(0, 1, "correct"), 0, 1, by)
    other = changed(trace(0, 2, "keep_all", 9, "So 5."), response="It is five.")
    assert first.text == spaced.text != filter.candidate(other, verdict(0, 2, "correct"), 0, 2, by).text
    assert first.mean_logprob_nats == -0.5
    assert filter.candidate(trace(0, 0, "keep_all", 9), verdict(0, 0, "incorrect"), 0, 0, by).sketch == b""
    assert not filter.candidate(
        trace(0, 0, "keep_all", 9), verdict(0, 0, "correct"), 0, 0, rule(max_similarity=None)
    ).sketch


def test_likeness_is_that_of_the_texts_training_sees() -> None:
    by = rule(max_per_problem=2)
    texts = [TEXT, ALIKE]
    versions = [
        filter.candidate(trace(0, n, "keep_all", n, text), verdict(0, n, "correct"), 0, n, by)
        for n, text in enumerate(texts)
    ]
    first, second = choose(versions, 2, 2, by)
    assert isinstance(first.outcome, Chosen)
    assert isinstance(second.outcome, Reason)
    assert second.outcome.reason == "near_duplicate_trace"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bands": [0.5, 0.25, 1.0]}, "must rise"),
        ({"bands": [0.0, 1.0]}, "must rise"),
        ({"bands": [0.5, 0.9]}, "must rise from above 0 to 1.0"),
        ({"bands": []}, "at least 1"),
        ({"balance": "difficulty"}, "num_examples, which is null"),
        ({"max_similarity": 0}, "greater than 0"),
        ({"choose": "longest"}, "'shortest', 'random' or 'most_probable'"),
        ({"num_examples": 0}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Config(**values)


def test_bands_may_be_given_as_a_list() -> None:
    assert Config(bands=[0.5, 1]).bands == (0.5, 1.0)


def test_samples_that_the_teacher_failed_count_in_the_pass_rate_and_those_of_the_engine_do_not(tmp_path: Path) -> None:
    failed = tuple(
        (f"p-1/{number}", "generate", reason)
        for number, reason in enumerate(
            ["truncated", "empty_text", "no_final_answer", "broken_tags", "request_failed", "too_long"], start=4
        )
    )
    kept, _ = outcome_rows(run(tmp_path, [NUMBERS[:8]], failed=failed))
    assert {problem_of(row.id): (row.num_correct, row.num_samples) for row in kept} == {"p-0": (1, 4), "p-1": (2, 8)}


FALSE = Arithmetic(num_false=1, false_equations=("51 × 68 = 3528",))
CORRECTED = Arithmetic(num_corrected=1)


@pytest.mark.parametrize(
    ("allowed", "arithmetic", "stays"),
    [
        ("keep", FALSE, True), ("keep", CORRECTED, True), ("unless_corrected", FALSE, False), ("unless_corrected", CORRECTED, True),
        ("drop", FALSE, False), ("drop", CORRECTED, False), ("drop", Arithmetic(num_true=3, num_rounded=1, num_unknown=2), True),
    ],
)  # fmt: skip
def test_what_computes_something_false(allowed: str, arithmetic: Arithmetic, stays: bool) -> None:
    found = decide([version("a", 0, 50, arithmetic=arithmetic)], false_arithmetic=allowed)
    assert (found["a", 0] == "") is stays


def test_another_version_without_the_false_equation_is_taken() -> None:
    found = decide([version("a", 0, 50), version("a", 1, 40, arithmetic=FALSE)])
    assert found == {("a", 0): "", ("a", 1): "false_arithmetic first_correct: it computes 51 × 68 = 3528"}
