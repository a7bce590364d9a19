r"""Puts together what stays of a thinking.

    "I misread it. " | "Again.\n" | "- Then she stops."  without the second  →  "I misread it.\n- Then she stops."

A step holds the space after it. What stands between two steps that stay is the strongest break that stood between them:
else a list, a heading or a fence of code would go on in the middle of a line. All else of a step that stays is as it was, byte
for byte, so the result is a subsequence of the characters of the original (but for rewritten steps).
"""

from __future__ import annotations

from collections.abc import Sequence

from transforms.types import Action, Decision, Step


def joined(thinking: str, steps: Sequence[Step], decisions: Sequence[Decision], given_back: Sequence[int] = ()) -> str:
    """What stays of the thinking: the kept steps and those given back, and the rewritten ones, in order."""
    texts = [step.text(thinking) for step in steps]
    stays = [
        text
        if decision.action == Action.KEEP or decision.step in given_back
        else decision.text
        if decision.action == Action.REWRITE
        else None
        for text, decision in zip(texts, decisions, strict=True)
    ]
    return "".join(stitched(texts, stays))


def stitched(texts: Sequence[str], stays: Sequence[str | None]) -> list[str]:
    """What stays of each text, None for nothing, with the break that goes behind it."""
    found: list[str] = []
    body, spaces = "", [""]  # of the last text that stays, and what stood between it and what comes
    for text, stay in zip(texts, stays, strict=True):
        if stay is None:
            spaces.append(_space_after(text))
            continue
        if found:
            found[-1] = body + _strongest(spaces)
        spaces = [_space_after(stay)]
        body = stay[: len(stay) - len(spaces[0])]
        found.append(stay)
    return found


def _space_after(text: str) -> str:
    return text[len(text.rstrip()) :]


def _strongest(spaces: Sequence[str]) -> str:
    """The break with the most ends of lines, the first of equals, indented as what follows was."""
    strongest = max(spaces, key=lambda space: (space.count("\n"), space != ""))
    if "\n" not in spaces[-1]:
        return strongest
    return strongest[: strongest.rindex("\n") + 1] + spaces[-1][spaces[-1].rindex("\n") + 1 :]
