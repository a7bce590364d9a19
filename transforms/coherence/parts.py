"""Numbered parts of a text: "Step 2", "Case 3:", "2. …" at the start of a line, and the ones before them.

    ["Three cases.", "Case 1: …", "Case 2: …", "Case 3: …"] without the third → Case 3 misses Case 2

A part is missed by the next one of its list, and by nothing else: a list that ends early is a list.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_PART = re.compile(
    r"^(?P<indent>[ \t]*)(?:[#>*•-]{1,6}[ \t]*){0,3}(?:(?P<name>Step|Case|Part|STEP|CASE|PART)\s(?P<named>\d{1,2})\b(?=\s*\**\s*[.:)—–-])|\(?(?P<bare>\d{1,2})[.)](?=[\s*]))",
    re.MULTILINE,
)


class Part(NamedTuple):
    """A numbered part: where it begins, and the step with the one before it, or None."""

    step: int
    label: str
    before: int | None


def numbered_parts(texts: Sequence[str]) -> list[Part]:
    """The numbered parts of a trace in steps, each with the part before it of the same list. A list begins with its 1."""
    found: list[Part] = []
    latest: dict[tuple[str, int], int] = {}  # the step of each number of the list that is going on, by the list's name
    for step, text in enumerate(texts):
        for match in _PART.finditer(text):
            name = f"{match['indent']}{(match['name'] or '').lower()}"
            number = int(match["named"] or match["bare"])
            if number == 1:
                latest = {key: value for key, value in latest.items() if key[0] != name}
            before = latest.get((name, number - 1))
            if number == 1 or before is not None:
                latest[name, number] = step
                found.append(Part(step, match[0].strip(" \t#>*•-(.)"), before if before != step else None))
    return found
