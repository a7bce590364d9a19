r"""Puts together what stays of a thinking.

    "I misread it. " | "Again.\n" | "- Then she stops."  without the second  →  "I misread it.\n- Then she stops."

A step holds the space around it. What stands between two steps that stay is the strongest break that stood between them:
else a list, a heading or a fence of code would go on in the middle of a line. All else of a step that stays is as it was, byte
for byte, so the result is a subsequence of the characters of the original (but for rewritten steps).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from transforms.core.records import Action, Decision, Step


def joined(
    thinking: str, steps: Sequence[Step], decisions: Sequence[Decision], given_back: Collection[int] = ()
) -> str:
    """What stays of the thinking: the kept steps and those given back, and the rewritten ones, in order."""
    texts = [step.text(thinking) for step in steps]
    return "".join(stitched(texts, staying(texts, decisions, given_back)))


def staying(texts: Sequence[str], decisions: Sequence[Decision], given_back: Collection[int] = ()) -> list[str | None]:
    """What stays of each step: its text, that of its rewrite, or None."""
    return [
        text
        if decision.action == Action.KEEP or decision.step in given_back
        else decision.text
        if decision.action == Action.REWRITE
        else None
        for text, decision in zip(texts, decisions, strict=True)
    ]


def of_steps(texts: Sequence[str], left: Collection[int]) -> list[str]:
    """The texts of the steps in `left`, each with the break that goes behind it."""
    return stitched(texts, [text if step in left else None for step, text in enumerate(texts)])


def stitched(texts: Sequence[str], stays: Sequence[str | None]) -> list[str]:
    """What stays of each text, None for nothing, with the break that goes behind it."""
    found: list[str] = []
    breaks: list[str] = []  # before each text that went since the last one that stays
    after = ""  # the space after the text before
    for text, stay in zip(texts, stays, strict=True):
        said = text if stay is None else stay
        before = said[: len(said) - len(said.lstrip())]
        if stay is None:
            breaks.append(after + before)
        else:
            if found and breaks:
                found[-1] = found[-1].rstrip() + _strongest([*breaks, after + before])
                said = said.lstrip()
            found.append(said)
            breaks = []
        after = said[len(said.rstrip()) :] if said.strip() else ""
    return found


def _strongest(spaces: Sequence[str]) -> str:
    """The break with the most ends of lines, the first of equals, indented as what follows was."""
    strongest = max(spaces, key=lambda space: (space.count("\n"), space != ""))
    if "\n" not in spaces[-1]:
        return strongest
    return strongest[: strongest.rindex("\n") + 1] + spaces[-1][spaces[-1].rindex("\n") + 1 :]
