"""The prompts: one text file each, whose name ends in its version. A changed wording is a new file with the next number.

`fill("rewrite-1", question="…", part="…")` → the text with its `$question` and `$part` filled in.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from string import Template

from transforms.core.records import Problem

FOLDER = Path(__file__).parent


def fill(name: str, **values: object) -> str:
    """The prompt with all its places filled in. What is filled in is not looked at again, whatever it holds."""
    return Template(_text(name)).substitute(values)


def checksum(*names: str) -> str:
    """The sha256 of the prompts' texts, short; "" for none."""
    return hashlib.sha256("\0".join(map(_text, names)).encode()).hexdigest()[:16] if names else ""


@cache
def _text(name: str) -> str:
    return (FOLDER / f"{name}.txt").read_text(encoding="utf-8").strip()


def with_instruction(problem: Problem, instruction: str) -> str:
    """The question, its options unless it lists them itself, and what to do, as a prompt."""
    question = problem.question.strip()
    if not all(option in question for option in problem.options):
        question += "\n\n" + "\n".join(f"{chr(65 + i)}. {option}" for i, option in enumerate(problem.options))
    return f"{question}\n\n{instruction}".strip()
