"""Which option of a choice a text names: "C", "(c)", "C. Paris" or "Paris" → "C"."""

from __future__ import annotations

import re

from transforms.verify.extract import plain, unwrapped

LETTERS = "ABCDEFGHIJ"
_OPTION = re.compile(
    r"(?:option\s+)?[(\[]?(?P<letter>[A-Ja-j])[)\].:]*(?:(?<=[)\].:])\s+(?P<rest>\S.*))?", re.DOTALL | re.I
)


def option_letter(text: str, options: tuple[str, ...]) -> str:
    """The letter of the option that `text` names, by letter or by its text (then by that alone); "" if it names none."""
    named = [letter for letter, option in zip(LETTERS, options, strict=False) if folded(option) == folded(text)]
    found = _OPTION.fullmatch(plain(text))
    if len(named) == 1 and not (found and not found["rest"]):
        return named[0]
    if found is None or (options and found["letter"].upper() not in LETTERS[: len(options)]):
        return ""
    if re.search(r"\b[A-J]\b", found["rest"] or "") and not (
        options and folded(found["rest"]) == folded(options[LETTERS.index(found["letter"].upper())])
    ):
        return ""  # another letter beside it, and not as part of the option's text
    beside = [
        letter
        for letter, option in zip(LETTERS, options, strict=False)
        if folded(option) == folded(found["rest"] or "")
    ]
    return found["letter"].upper() if found["letter"].upper() in (beside or LETTERS) else ""


def folded(text: str) -> str:
    """The text without wrappers, in one case, with single spaces."""
    return " ".join(unwrapped(text).casefold().split())
