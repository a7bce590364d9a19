r"""Finds the final answer a text states.

"… so the total is \boxed{\frac{1}{2}}." → Extracted("\frac{1}{2}", rule="boxed", start=…)
"The final answer is 42."                 → Extracted("42", rule="statement", start=…)
"""

from __future__ import annotations

import re
from typing import NamedTuple

_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
_STATEMENT = re.compile(
    r"(?:\banswer(?:\*\*)?\s*(?:is|:|=)|^#+[^\n]*\banswer)(?:\*\*)?[: \t]*\n?\s*(?P<answer>[^\n]{1,200})",
    re.IGNORECASE | re.MULTILINE,
)
_TELLS = re.compile(r"\d|\\[a-zA-Z]|\b[A-J]\b")  # a number, maths, or an option
_ENDS = re.compile(r"(?<!\d)[.!]\s|[.!]$|\.\s|\s+(?:because|since)\b")
_WRAPPERS = (("\\(", "\\)"), ("\\[", "\\]"), ("$", "$"), ("**", "**"), ("`", "`"), ('"', '"'))
_DECORATION = re.compile(r"\\(?:text|mathrm|mathbf)\s*\{([^{}]*)\}|\\?[$€£]|\\[,;!]")


class Extracted(NamedTuple):
    """The answer as written and the rule that found it.

    The statement starts at character `start` of the text; the answer itself is `answer_start` to `answer_end`.
    """

    answer: str
    rule: str
    start: int
    answer_start: int
    answer_end: int


def final_answer(text: str) -> Extracted | None:
    """The last boxed expression whose braces close, else the last "answer is …" (one with a number first), else None."""
    for found in reversed(list(_BOXED.finditer(text))):
        inner = _balanced(text, found.end())
        if inner is not None and inner.strip():
            return _extracted(text, inner.strip(), "boxed", found.start(), found.end())
    statements = [(found, unwrapped(_ENDS.split(found["answer"].strip())[0])) for found in _STATEMENT.finditer(text)]
    stated = [(found, answer) for found, answer in statements if answer]
    for found, answer in [*reversed([one for one in stated if _TELLS.search(one[1])]), *reversed(stated)]:
        return _extracted(text, answer, "statement", found.start(), found.start("answer"))
    return None


def _extracted(text: str, answer: str, rule: str, start: int, after: int) -> Extracted:
    place = text.index(answer, after)
    return Extracted(answer, rule, start, place, place + len(answer))


def plain(answer: str) -> str:
    r"""The answer without wrappers, currency signs and a leading "x =".

    "\text{€}1,234" → "1,234"; "q = 36" → "36"; "18 \text{ eggs}" → "18  eggs".
    """
    text = _DECORATION.sub(lambda found: f" {found[1]}" if found[1] else "", answer)
    return unwrapped(re.sub(r"^\s*[A-Za-z]\s*=\s*", "", text))


def _balanced(text: str, start: int) -> str | None:
    depth = 1
    for position in range(start, min(len(text), start + 2000)):
        depth += (text[position] == "{") - (text[position] == "}")
        if depth == 0:
            return text[start:position]
    return None


def unwrapped(answer: str) -> str:
    """The answer without quotes, bold marks or maths delimiters around all of it."""
    answer = answer.strip()
    for left, right in _WRAPPERS:
        if len(answer) > len(left) + len(right) and answer.startswith(left) and answer.endswith(right):
            answer = answer[len(left) : -len(right)].strip()
    return answer
