"""The final answer of a response, as it would stand in a box."""

from __future__ import annotations

from transforms.answers.extract import RETRACTED, WORD, plain, stated_answer
from transforms.answers.options import option_letter
from transforms.core.records import Problem

MAX_CLOSING_WORDS = 6


def final_answer(response: str, problem: Problem) -> str:
    """The answer that a response states, as it would stand in a box: an option's letter, a value without bold or "x ="; or ""."""
    found = stated_answer(response, problem.answer_kind)
    if found is None or found.rule == RETRACTED or "\\boxed" in found.answer:  # taken back; an empty or open box
        return ""
    if (
        found.rule == "closing"
        and problem.answer_kind != "text"
        and len(WORD.findall(found.answer)) > MAX_CLOSING_WORDS
    ):
        return ""  # the last line of a response that states no answer
    if problem.answer_kind == "choice":
        return option_letter(found.answer, problem.options) or found.answer.strip()
    if problem.answer_kind == "code" or found.rule == "boxed":
        return found.answer.strip()
    return plain(found.answer.strip().rstrip(".")).strip() or found.answer.strip()
