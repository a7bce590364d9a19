"""The picture of bench/methods.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from bench.methods import draw, has_support, share
from tests.conftest import rechecked


def row(kept: float, right: int) -> dict[str, Any]:
    return {"tokens_kept": kept, "masked": share([True] * right + [False] * (10 - right))}


def test_support_is_what_the_recheck_wants() -> None:
    def has(pruned: str, support: float, before: float = -0.5, without: float = -3.0) -> bool:
        values = {"support_before_nats_per_token": before, "support_pruned_nats_per_token": support}
        return has_support(
            rechecked("a", "passed", pruned=pruned, answer_loglik_without_nats_per_token=without, **values)
        )

    assert has("So", -0.59)
    assert not has("So", -0.61)
    assert not has("So", -0.5, without=-0.55)
    assert has("So 5.", -0.5, without=-0.55)  # nothing was deleted


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
