r"""Finds the final answer a text states.

"… so the total is \boxed{\frac{1}{2}}." → Extracted("\frac{1}{2}", rule="boxed", start=…)
"The final answer is 42."                 → Extracted("42", rule="statement", start=…)
"… which makes **$18** in all."            → Extracted("$18", rule="bold", start=…), of a whole response only

The text is a model's, so every pattern takes time linear in it: no repetition without a bound next to another.
"""

from __future__ import annotations

import ast
import re
import textwrap
from typing import NamedTuple

from transforms.answers.retraction import changed, denied, taken_back

RETRACTED = "retracted"
MAX_ANSWER_CHARS, MAX_BOXED_CHARS, MAX_BOXES = 300, 2000, 100

_BOXED = re.compile(r"\\(?:boxed|fbox)[ \t]{0,5}\{")
_TAGGED = re.compile(rf"<answer>[ \t\n]{{0,20}}(?P<answer>[^<]{{1,{MAX_ANSWER_CHARS}}})</answer>", re.IGNORECASE)
_LEAD = r"^[ \t>*_#\-]{0,10}(?:(?:so|thus|hence|therefore|then|and|the|my|our|final|correct|best|short|numerical),?[ \t]{1,3}){0,5}"
_STATEMENT = re.compile(
    rf"(?:\b(?:answer|result)(?:\*\*)?[ \t]{{0,5}}(?:\bis\b|=)|{_LEAD}answers?(?:\*\*|__)?[ \t]{{0,3}}(?:[:：]|[ \t][-–—][ \t])"
    r"|^#{1,6}[^\n]{0,60}?\banswer\b)(?:\*\*)?[: \t]{0,10}(?:\n[ \t]{0,10}){0,3}(?=(?P<answer>[^\n]{1,300}))",
    re.IGNORECASE | re.MULTILINE,
)
_CHOSEN = re.compile(
    r"\b(?:option|choice)(?:\*\*)?[ \t]{0,5}(?:\bis\b|[:=])(?:\*\*)?[: \t]{0,10}(?=(?P<answer>[^\n]{1,300}))", re.I
)
_SAID = re.compile(
    r"(?:^|[.!,:][ \t]{1,3}|\b(?:option|choice|thus|so|hence|therefore)[ \t]{1,3})[(*]{0,4}(?P<letter>[A-J])[)*]{0,4} is (?:the )?(?:only )?(?:most )?"
    r"(?:(?:correct|right|best|accurate)(?: answer| option| choice)?|answer)[ \t.!*]{0,5}$"
)
_WEIGHED = re.compile(r"\b(?:if|not|neither|nor|either|or|unless|whether|isn|n't)\b|n['’]t\b|\?", re.IGNORECASE)
# What makes "… answer is" name another one than the final answer.
_NOT_FINAL = re.compile(
    r"(?:\b(?:not|wrong|incorrect|false|invalid|unlikely|worst|least(?: \w{1,15})?)|n['’]t)(?: the)?[ *_]{0,4}$",
    re.IGNORECASE,
)

_TELLS = re.compile(r"\d|\\[a-zA-Z]|\b[A-J]\b")  # a number, maths, or an option
_ENDS = re.compile(r"(?<!\d)[.!]\s|[.!]$|\.\s|\s(?:because|since)\b")
_WRAPPERS = (
    ("\\(", "\\)"), ("\\[", "\\]"), ("$", "$"), ("**", "**"), ("__", "__"), ("`", "`"), ('"', '"'), ("“", "”"), ("'", "'"), ("‘", "’"),
)  # fmt: skip
_BOLD = re.compile(r"\*\*([^*\n]{1,200})\*\*")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_FENCE = re.compile(r"(?P<indent>[ \t]{0,12})(?P<fence>`{3,12}|~{3,12})[ \t]{0,5}\{?(?P<language>[\w+-]{0,20})")
_PYTHON = ("python", "python3", "py", "")
_PROGRAM = re.compile(r"^[ \t]*(?:async def|def|class)\b|\binput\(|\bsys\.stdin\b", re.MULTILINE)
WORD = re.compile(r"(?<!\\)\b[A-Za-z]{3,}\b")
_DECORATION = re.compile(
    r"\\(?:text|mathrm|mathbf|textbf|textrm|textit|mbox|boldsymbol|operatorname)\s{0,3}\{([^{}]*)\}|\\?[$€£]|(?<!\\)\\[,;!: ]|~|\\(?:left|right)(?![a-zA-Z])"
)


class Extracted(NamedTuple):
    """The answer as written and the rule that found it.

    The statement starts at character `start` of the text; the answer itself is `answer_start` to `answer_end`. Several
    boxes side by side are one answer, "3, 5", that stands from the first to the last.
    """

    answer: str
    rule: str
    start: int
    answer_start: int
    answer_end: int

    @property
    def stands(self) -> bool:
        """Whether the text does not take the answer back."""
        return self.rule != RETRACTED


def final_answer(text: str, kind: str = "math") -> Extracted | None:
    """The last boxed expression whose braces close, else the last "answer is …" (one with a number first), else None.

    The rule is "retracted" where the text takes the answer back, or another one follows.
    """
    return _boxed(text, kind) or _tagged(text) or _statement(text, kind)


def stated_answer(response: str, kind: str) -> Extracted | None:
    """The answer that a whole response gives, by the kind of answer asked for.

    Code is the last fenced block that is a program, or all of a response that is one. Else it is what `final_answer`
    finds, unless that is prose; else, as the response is known to be one, its last bold words with a number, or its
    last line (its only one, for texts).
    """
    if kind == "code":
        return _code(response)
    found = final_answer(response, kind)
    lines = [line for line in re.finditer(r"[^\n]+", response) if line[0].strip()]
    if kind == "choice":
        return found or _said(response, lines)
    if kind == "text":
        return found or (_closing(lines[0]) if len(lines) == 1 else None)
    if found and (found.rule != "statement" or len(WORD.findall(found.answer)) <= 2):
        return found
    bold = [span for span in _BOLD.finditer(response, found.start if found else 0) if re.search(r"\d", span[1])]
    if bold:  # "Answer:" above a derivation is a heading
        before = response[: bold[-1].start()]
        rule = RETRACTED if denied(before) or taken_back(response, bold[-1].end()) else "bold"
        return Extracted(bold[-1][1], rule, bold[-1].start(), *bold[-1].span(1))
    return found or (_closing(lines[-1]) if lines else None)


def _boxed(text: str, kind: str) -> Extracted | None:
    boxes = []
    for found in list(_BOXED.finditer(text))[-MAX_BOXES:]:
        inner = _balanced(text, found.end())
        if inner is not None and inner.strip() and not _BOXED.search(inner):  # of nested ones, the innermost
            boxes.append(_extracted(text, inner.strip(), "boxed", found.start(), found.end()))
    if not boxes:
        return None
    last = boxes[-1]
    beside = [box for box in boxes if "\n\n" not in text[box.answer_end : last.start]]  # of the same paragraph
    if len({" ".join(box.answer.split()) for box in beside}) > 1:
        answers = dict.fromkeys(box.answer for box in beside)
        last = Extracted(", ".join(answers), "boxes", beside[0].start, beside[0].answer_start, last.answer_end)
    later = _statement(text[last.answer_end :], kind)
    other = (
        later is not None and bool(_TELLS.search(later.answer)) and not _within(plain(later.answer), plain(last.answer))
    )
    if other or taken_back(text, last.answer_end) or any(_changed(text, box, kind) for box in (*beside, boxes[-1])):
        return last._replace(rule=RETRACTED)
    return last


def _changed(text: str, box: Extracted, kind: str) -> bool:
    return changed(text, box.start, box.answer_end, kind in ("choice", "text") or box.answer.startswith("\\text"))


def _within(part: str, whole: str) -> bool:
    """Whether the part stands in the whole by itself: "3" in "2, 3", but not in "13"."""
    return bool(re.search(rf"(?<![\w.-]){re.escape(part)}(?!\w|[.,]\d)", whole))


def _tagged(text: str) -> Extracted | None:
    for found in reversed(list(_TAGGED.finditer(text))):
        if found["answer"].strip():
            return _extracted(text, found["answer"].strip(), "tagged", found.start(), found.start("answer"))
    return None


def _statement(text: str, kind: str) -> Extracted | None:
    stated = []
    for pattern in (_STATEMENT, _CHOSEN) if kind == "choice" else (_STATEMENT,):
        for found in pattern.finditer(text):
            answer = _trimmed(_display(text, found.start("answer")) or found["answer"], kind)
            if answer and not _NOT_FINAL.search(text[max(0, found.start() - 40) : found.start()]):
                stated.append((found.start(), found.start("answer"), answer))
    stated.sort()
    for start, after, answer in [*reversed([one for one in stated if _TELLS.search(one[2])]), *reversed(stated)]:
        found_answer = _extracted(text, answer, "statement", start, after)
        return found_answer._replace(rule=RETRACTED) if taken_back(text, found_answer.answer_end) else found_answer
    return None


def _display(text: str, start: int) -> str:
    """The content of display maths that begins at `start`, or ""."""
    closer = {"\\[": "\\]", "$$": "$$"}.get(text[start : start + 2], "")
    end = text.find(closer, start + 2, start + MAX_ANSWER_CHARS) if closer else -1
    return text[start + 2 : end].strip() if end > 0 else ""


def _trimmed(answer: str, kind: str) -> str:
    """The statement's answer without what follows it, and without half of a pair of bold marks."""
    answer = answer.strip()
    for mark in ("**", "__"):
        if answer.count(mark) % 2:
            answer = "".join(answer.rsplit(mark, 1)).strip()
    if kind == "text":
        return unwrapped(answer).rstrip(".!").strip()
    if kind == "choice":
        return unwrapped(re.split(r"\s(?:because|since)\b", answer)[0])
    return unwrapped(_ENDS.split(answer)[0]).rstrip(",;:").lstrip("= ").strip()


def _said(response: str, lines: list[re.Match[str]]) -> Extracted | None:
    """A choice that the last line names: "Thus, (A) is the correct answer." or "**C**"; a short response's only line."""
    if not lines:
        return None
    last, start = lines[-1][0].rstrip(), lines[-1].start()
    sentence = last[max(last.rfind(". ", 0, len(last) - 1), 0) :]
    if (said := _SAID.search(last)) and not _WEIGHED.search(sentence):
        return Extracted(
            said["letter"], "statement", start + said.start("letter"), *(start + x for x in said.span("letter"))
        )
    named = re.fullmatch(r"\W{0,6}(?:option )?[A-J](?:\W{0,6}|[).:]{1,2} \S.{0,80})", last.strip(), re.IGNORECASE)
    if len(lines) == 1 or named:
        return _closing(lines[-1])
    return None


def _closing(line: re.Match[str]) -> Extracted | None:
    answer = line[0].strip()
    if len(answer) > MAX_ANSWER_CHARS:
        return None
    start = line.start() + line[0].index(answer)
    return Extracted(answer, "closing", start, start, start + len(answer))


class _Block(NamedTuple):
    """A fenced block; its code is `start` to `end`."""

    language: str
    indent: str
    opened: int
    start: int
    end: int


def _blocks(text: str) -> list[_Block]:
    """The fenced blocks that are closed."""
    found = []
    opened: tuple[re.Match[str], int, int] | None = None
    for line in _LINE.finditer(text):
        if opened is None:
            if fence := _FENCE.match(line[0]):
                opened = fence, line.start(), line.end()
        elif line[0].strip() == opened[0]["fence"]:
            fence, start, after = opened
            found.append(_Block(fence["language"].lower(), fence["indent"], start, after, line.start()))
            opened = None
    return found


def _code(response: str) -> Extracted | None:
    blocks = _blocks(response)
    blocks = [block for block in blocks if block.language in _PYTHON[:-1]] or [
        block for block in blocks if block.language in _PYTHON
    ]
    if blocks:
        # What only calls the function, or asserts something of it, is how to use it.
        programs = [block for block in blocks if _PROGRAM.search(response[block.start : block.end])]
        block = (programs or blocks)[-1]
        code = response[block.start : block.end]
        return Extracted(textwrap.dedent(code) if block.indent else code, "fence", block.opened, block.start, block.end)
    if "```" not in response and (_parses(response) or _parses("def _():\n" + response)):
        return Extracted(response, "whole", 0, 0, len(response))
    return None


def _parses(code: str) -> bool:
    try:
        return bool(ast.parse(code).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _extracted(text: str, answer: str, rule: str, start: int, after: int) -> Extracted:
    place = text.find(answer, after)
    if place < 0:  # a mark was taken out of its middle
        return Extracted(answer, rule, start, after, min(after + len(answer), len(text)))
    return Extracted(answer, rule, start, place, place + len(answer))


def plain(answer: str) -> str:
    r"""The answer without wrappers, currency signs and a leading "x =".

    "\text{€}1,234" → "1,234"; "q = 36" → "36"; "18 \text{ eggs}" → "18  eggs".
    """
    text = re.sub(r"(?:,|\{,\})\s{0,3}\\!\s{0,3}", ",", answer)
    text = _DECORATION.sub(lambda found: f" {found[1]}" if found[1] else "", text)
    return unwrapped(re.sub(r"^\s*[A-Za-z]\s*=\s*", "", text))


def folded(text: str) -> str:
    """The text without a final full stop and what is around it, in one case, with single spaces."""
    return " ".join(unwrapped(text.rstrip(".")).casefold().split())


def _balanced(text: str, start: int) -> str | None:
    depth = 1
    for position in range(start, min(len(text), start + MAX_BOXED_CHARS)):
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
