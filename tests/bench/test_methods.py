"""The numbers and the picture of bench/methods.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench import methods
from bench.methods import Asked, Way, draw, has_support, measure, read_both, share, shortest
from tests.builders import problem, rechecked, segmented
from transforms.core.records import Decision, Step
from transforms.inference.requests import Completion, Exchange


def row(kept: float, right: int) -> dict[str, Any]:
    return {"tokens_kept": kept, "masked": share([True] * right + [False] * (10 - right))}


SHORT, WHOLE = ((Decision(0, action, "-"),) for action in ("delete", "keep"))


class Reader(Asked):
    """Is right where it can read "Moreover"."""

    def __init__(self) -> None:
        pass

    def ask(self, label: str, rows: Any, ask: Any) -> list[list[Exchange]]:
        return [
            [Exchange(one, Completion("5}" if "Moreover" in str(one) else "6}", "stop", 1, 1)) for one in ask(row)]
            for row in rows
        ]


def test_the_reader_is_asked_after_both_and_shares_have_wilsons_interval() -> None:
    texts = {"a": "Moreover, 1 + 4 = 5.", "b": "Moreover, the answer is 5.", "c": "2 + 3 = 5."}
    traces = [segmented(text, "It is \\boxed{5}.", id=name) for name, text in texts.items()]
    found = read_both(traces, list(texts.values()), Reader(), "all")
    assert (found["plain"]["right"], found["masked"]["right"]) == (2, 1)
    assert share([True, True, True, False]) == {"right": 3, "percent": 75.0, "wilson": [30.1, 95.4]}


def test_a_row_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = {"num_tokens_before": 10, "answer_loglik_before_nats_per_token": -1.0, "shortfall": ""}
    checks = [
        rechecked("a", "passed", **numbers | {"num_tokens_pruned": 2, "num_tokens_after": 2}, decisions=SHORT),
        rechecked(
            "b", "rolled_back", **numbers | {"num_tokens_before": 30, "num_tokens_pruned": 6, "num_tokens_after": 18},
            decisions=SHORT, support_pruned_nats_per_token=-3.0, answer_loglik_pruned_nats_per_token=-1.5,
        ),
    ]  # fmt: skip
    monkeypatch.setattr(methods, "pruned", lambda *_: checks)
    leap = {"problem": problem("7", question="3 boxes of 4, less 5"), "thinking": "3 × 4 = 12. 12 − 5 = 7."}
    leap |= {"steps": (Step(0, 12, "prose"), Step(12, 23, "prose")), "num_tokens_after": 5, "num_tokens_before": 20}
    leaps = [
        rechecked(name, "passed", **leap, decisions=(Decision(0, first, "why"), Decision(1, "keep", "why")))
        for name, first in (("a", "delete"), ("b", "keep"))
    ]
    monkeypatch.setattr(methods, "rechecked", lambda *_, coherence=True: checks if coherence else leaps)
    row, found = measure([None, None], Way("tail 0.2", "tail", {}), Reader(), Reader(), True)  # type: ignore[list-item]
    assert found == checks
    assert (row["traces"], row["tokens_kept"], row["tokens_after_recheck"], row["holds"]) == (2, 0.2, 0.5, 0.5)
    assert (row["plain_change_nats"], row["masked_change_nats"], row["shortfalls"]) == (-0.25, -1.0, 0)
    assert row["rates"] == {"passed": 0.5, "mended": 0.0, "rolled_back": 0.5, "gave_up": 0.0}
    assert (row["plain"]["right"], row["masked"]["right"]) == (0, 0)
    assert row["dangles"] == 0
    assert row["coherence"] == {"dangles": 0, "tokens": 0.5}
    assert row["without_coherence"] == {"dangles": 0.5, "tokens": 0.25}


def test_the_portfolio_takes_the_shortest_after_the_recheck_and_of_equals_the_first() -> None:
    long, short, other = (
        rechecked(name, "passed", num_tokens_after=tokens, num_tokens_pruned=pruned)
        for name, tokens, pruned in (("a", 9, 1), ("b", 4, 4), ("c", 4, 3))
    )
    assert shortest([long, short, other]) is short


def test_support_is_what_the_recheck_wants() -> None:
    def has(decisions: tuple[Decision, ...], support: float, before: float = -0.5, without: float = -3.0) -> bool:
        values = {"support_before_nats_per_token": before, "support_pruned_nats_per_token": support}
        return has_support(
            rechecked("a", "passed", decisions=decisions, answer_loglik_without_nats_per_token=without, **values)
        )

    assert has(SHORT, -0.59)
    assert not has(SHORT, -0.61)
    assert not has(SHORT, -0.5, without=-0.55)
    assert has(WHOLE, -0.5, without=-0.55)  # nothing was deleted


def test_a_line_a_way_with_a_point_a_budget(tmp_path: Path) -> None:
    table = {
        "original": row(1, 9),
        "no thinking": row(0, 1),
        "answer_likelihood, sequential": row(0.7, 9),
        "answer_likelihood, sequential, masked": row(0.6, 8),
        "tail 0.5": row(0.5, 8),
        "tail 0.25": row(0.25, 4),
    }

    def picture(names: list[str], *, without: str = "") -> str:
        path = tmp_path / "picture.svg"
        draw({name: values for name, values in table.items() if name != without}, names, 10, str(path))
        return path.read_text(encoding="utf-8")

    whole = picture(["answer_likelihood, sequential", "tail"])
    ElementTree.fromstring(whole)
    for text in ("original", "no thinking", "answer_likelihood, sequential", "tail", "10 traces"):
        assert text in whole
    assert whole == picture(["answer_likelihood, sequential", "tail"], without="answer_likelihood, sequential, masked")
    assert whole != picture(["answer_likelihood, sequential", "tail"], without="tail 0.25")
