r"""What must stay whole in a text: code fences, display maths, tables, first lines of list items, graphemes.

    "Then \[\nx = 1\n\n\] and" → blocks: [(5, 16)], from the \[ to the \]

Everything is a list of spans (start, end) of characters, in order; a cut strictly inside one is not allowed. What is
never closed ends with the text. Each function is a pass of regular expressions that do not backtrack, or by no more than
a bounded number of characters: time is linear in the text, whatever the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import regex

Span = tuple[int, int]

# Groups that give nothing back, (…)*+, are the module regex's: those of re are wrong before Python 3.11.5.

# A fence at the start of a line, in a list too; the tokens of display maths; and what opens none: \\ of \\[2pt], \$ of
# $5\$$, inline code, and inline maths, whose dollars have no space inside and no digit behind: $a$$b$, but not $5 and $$x$$.
_TOKEN = regex.compile(
    r"^(?P<lead>(?:[-*+][ \t]|\d{1,9}[.)][ \t]|>|[ \t])*+)(?P<fence>`{3,}+(?![^\n]*`)|~{3,}+)"
    r"|\\\\|\\\$|`[^`\n]{1,200}`|\$(?![\s$])[^$\n]{0,200}(?<![\s\\])\$(?!\d)"
    r"|(?P<math>\\\[|\\\]|\$\$|\\(?:begin|end)[ \t]{0,4}\{[^{}\n]{1,100}\})",
    regex.MULTILINE,
)
_IN_A_LIST = re.compile(r"[-*+\d]")
_DEEPER = 4  # columns more than the opening fence that make a fence code
_REST_IS_BLANK = re.compile(r"[^\S\n]*+(?:\n|\Z)")
_CLOSERS = {"\\[": "\\]", "$$": "$$"}
_DELIMITER_ROW = regex.compile(  # |---|:-:| below a table's header
    r"^(?:[^\S\n]|>)*+\|?[^\S\n]*+:?-++:?[^\S\n]*+(?:\|[^\S\n]*+:?-++:?[^\S\n]*+)*+\|?[^\S\n]*+$", regex.MULTILINE
)
_PIPED_LINES = regex.compile(r"^(?:[^\S\n]|>)*+\|[^\n]*+(?:\n(?:[^\S\n]|>)*+\|[^\n]*+)++", regex.MULTILINE)
_MARKER = (  # - • ① 1️⃣ 1. 1.1. (iv) [a] **1.** __1.__ #1. 1\.
    r"(?:[-*+•●◦▪‣·–—①-⑳]|\d\ufe0f?\u20e3"
    r"|(?:\*\*?|__?|#)?[(\[]?(?:\d{1,9}(?:\.\d{1,3})*+|[a-zA-Z]|[ivx]{1,5})\\?[.)\]](?:\*\*?|__?)?)[^\S\n]"
)
_LIST_ITEM = regex.compile(rf"^(?:[^\S\n]|>)*+{_MARKER}[^\n]*+", regex.MULTILINE)
_INLINE_TOKEN = re.compile(r"\\\\|(?P<open>\\\()|(?P<close>\\\))|\n")
# Flags by themselves, with what extends them: \X looks back at all of a run of them.
_GRAPHEME = regex.compile(r"[\U0001f1e6-\U0001f1ff]{2}[\p{GCB=Extend}\p{GCB=ZWJ}\p{GCB=SpacingMark}]*+|\X")
_KINDS = (
    ("code", re.compile(r"[\s>]*+(?:`{3,}(?![^\n]*`)|~{3,})")),
    ("display_math", re.compile(r"\s*+(?:\\\[|\$\$|\\begin[ \t]{0,4}\{)")),
    ("table", regex.compile(r"[\s>]*+(?:\||[^\n|]{1,200}\|[^\n]{0,800}\n(?:[^\S\n]|>)*+\|?[^\S\n]*+:?-+:?[^\S\n]*\|)")),
    ("list", regex.compile(rf"[\s>]*+{_MARKER}")),
)


def blocks(text: str) -> Iterator[Span]:
    r"""Code fences (whole lines) and display maths: \[…\], $$…$$ and environments, the outermost ones."""
    fence, opened, widest = "", 0, 0
    open_math: list[str] = []
    for found in _TOKEN.finditer(text):
        marker, token = found["fence"], found["math"] and _plain(found["math"])
        if fence:
            closes = marker and marker.startswith(fence) and not _IN_A_LIST.search(found["lead"])
            closing = closes and len(found["lead"]) < widest and _REST_IS_BLANK.match(text, found.end())
            if closing:
                yield opened, closing.end()
                fence = ""
        elif marker and not open_math:
            fence, opened, widest = marker, found.start(), len(found["lead"]) + _DEEPER
        elif token:
            if not open_math:
                opened = found.start("math")
            if open_math and token == open_math[-1]:
                open_math.pop()
                if not open_math:
                    yield opened, found.end()
            elif token in _CLOSERS and not (open_math and open_math[-1] in _CLOSERS.values()):
                open_math.append(_CLOSERS[token])
            elif token.startswith("\\begin"):
                open_math.append(token.replace("begin", "end", 1))
    if fence or open_math:
        yield opened, len(text)


def _plain(token: str) -> str:
    """An environment's begin or end without the star and spaces, which some writers give to only one of them."""
    return token.replace(" ", "").replace("\t", "").replace("*}", "}")


def whole(text: str) -> list[Span]:
    """All that a cut inside a paragraph must not touch: blocks, tables, list items' first lines, inline maths, graphemes."""
    spans = [*blocks(text), *_tables(text), *_inline_maths(text)]
    spans += [found.span() for found in _LIST_ITEM.finditer(text)]
    if not text.isascii() or "\r\n" in text:
        spans += [found.span() for found in _GRAPHEME.finditer(text) if found.end() - found.start() > 1]
    return sorted(spans)


def outside(positions: Iterable[int], spans: Iterable[Span]) -> Iterator[int]:
    """The positions that are not strictly inside a span. Both come in order of their starts."""
    remaining, until = iter(spans), 0
    span = next(remaining, None)
    for position in positions:
        while span is not None and span[0] < position:
            until = max(until, span[1])
            span = next(remaining, None)
        if position >= until:
            yield position


def construct_start(text: str, position: int) -> int:
    """Where the line that holds `position` starts, or the line where the block opens that the line is in."""
    line = text.rfind("\n", 0, position) + 1
    for start, end in blocks(text):
        if start < line < end:
            return text.rfind("\n", 0, start) + 1
    return line


def kind(text: str, start: int, end: int) -> str:
    """What the step from `start` to `end` begins with: prose | code | display_math | list | table."""
    return next((name for name, pattern in _KINDS if pattern.match(text, start, end)), "prose")


def _inline_maths(text: str) -> Iterator[Span]:
    r"""What is between \( and \) in one line."""
    opened = -1
    for found in _INLINE_TOKEN.finditer(text):
        if found["open"] and opened < 0:
            opened = found.start()
        elif found["close"] and opened >= 0:
            yield opened, found.end()
            opened = -1
        elif found[0] == "\n":
            opened = -1


def _tables(text: str) -> Iterator[Span]:
    """Runs of two or more lines that start with a pipe, and what stands above and below a delimiter row."""
    for found in _PIPED_LINES.finditer(text):
        yield found.span()
    end = 0
    for found in _DELIMITER_ROW.finditer(text):
        if "|" not in found[0] or found.start() < end:
            continue
        start = text.rfind("\n", 0, max(found.start() - 1, 0)) + 1
        if "|" not in text[start : found.start()]:
            continue  # no header: no table
        end = found.end()
        while end < len(text):
            line_end = text.find("\n", end + 1)
            line_end = len(text) if line_end < 0 else line_end
            if "|" not in text[end:line_end]:
                break
            end = line_end
        yield start, end
