r"""Finds the final answer a text states.

"… so the total is \boxed{\frac{1}{2}}." → Extracted("\frac{1}{2}", rule="boxed", start=…)
"The final answer is 42."                 → Extracted("42", rule="statement", start=…)
"… which makes **$18** in all."            → Extracted("$18", rule="bold", start=…), of a whole response only
"""

from __future__ import annotations

import re
from typing import NamedTuple

_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
_STATEMENT = re.compile(
    r"(?:\banswer(?:\*\*)?\s*(?:is|:|=)|^#+[^\n]*\banswer)(?:\*\*)?[: \t]*\n?\s*(?=(?P<answer>[^\n]{1,200}))",
    re.IGNORECASE | re.MULTILINE,
)
_TELLS = re.compile(r"\d|\\[a-zA-Z]|\b[A-J]\b")  # a number, maths, or an option
_ENDS = re.compile(r"(?<!\d)[.!]\s|[.!]$|\.\s|\s+(?:because|since)\b")
_WRAPPERS = (("\\(", "\\)"), ("\\[", "\\]"), ("$", "$"), ("**", "**"), ("`", "`"), ('"', '"'))
_BOLD = re.compile(r"\*\*([^*\n]{1,200})\*\*")
_FENCED = re.compile(
    r"^(?P<fence>`{3,}|~{3,})[ \t]*(?P<language>[\w+-]*)[^\n]*\n(?P<code>.*?)^(?P=fence)", re.MULTILINE | re.DOTALL
)
_SAID = re.compile(
    r"(?<![\w(])[(\*]*(?P<letter>[A-J])[)\*]* is (?:the )?(?:only )?(?:most )?(?:correct|right|best|accurate)(?: answer| option| choice)?\b(?!.*\n.*\S)"
)
_WORD = re.compile(r"(?<!\\)\b[A-Za-z]{3,}\b")
_PYTHON = ("python", "python3", "py", "")
MAX_CLOSING_CHARS = 300
_DECORATION = re.compile(r"\\(?:text|mathrm|mathbf)\s*\{([^{}]*)\}|\\?[$€£]|(?<!\\)\\[,;!: ]|~")


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


def stated_answer(response: str, kind: str) -> Extracted | None:
    """The answer that a whole response gives, by the kind of answer asked for.

    Code is the last fenced block (of Python, where one says so), or all of a response without fences. Else it is what
    `final_answer` finds, unless that is prose; else, as the response is known to be one, its last bold words with a
    number, or its last line (its only one, for choices and texts).
    """
    if kind == "code":
        return _code(response)
    found = final_answer(response)
    said = list(_SAID.finditer(response))[-1:] if kind == "choice" and not (found and found.rule == "boxed") else []
    if said:
        return _extracted(response, said[0]["letter"], "statement", said[0].start(), said[0].start("letter"))
    prose = found is None or (found.rule == "statement" and len(_WORD.findall(found.answer)) > 2)
    if not prose:
        return found
    lines = [line for line in re.finditer(r"[^\n]+", response) if line[0].strip()]
    if kind in ("choice", "text"):
        return found or (_closing(lines[0]) if len(lines) == 1 else None)
    bold = [span for span in _BOLD.finditer(response, found.start if found else 0) if re.search(r"\d", span[1])]
    if bold:  # "Answer:" above a derivation is a heading
        return Extracted(bold[-1][1], "bold", bold[-1].start(), *bold[-1].span(1))
    return found or (_closing(lines[-1]) if lines else None)


def _closing(line: re.Match[str]) -> Extracted | None:
    answer = line[0].strip()
    if len(answer) > MAX_CLOSING_CHARS:
        return None
    start = line.start() + line[0].index(answer)
    return Extracted(answer, "closing", start, start, start + len(answer))


def _code(response: str) -> Extracted | None:
    blocks = list(_FENCED.finditer(response))
    blocks = [block for block in blocks if block["language"].lower() in _PYTHON[:-1]] or [
        block for block in blocks if block["language"].lower() in _PYTHON
    ]
    if blocks:
        return Extracted(blocks[-1]["code"], "fence", blocks[-1].start(), *blocks[-1].span("code"))
    if "```" in response or not response.strip():
        return None
    return Extracted(response, "whole", 0, 0, len(response))


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
