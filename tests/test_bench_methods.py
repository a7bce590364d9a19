"""The picture of bench/methods.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from bench.methods import draw, share


def row(kept: float, right: int) -> dict[str, Any]:
    return {"tokens_kept": kept, "masked": share([True] * right + [False] * (10 - right))}


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
