"""Which option of a choice a text names: "C", "(c)", "C. Paris", "\\textbf{(C)}" or "Paris" → "C"."""

from __future__ import annotations

import re
import unicodedata

from transforms.answers.extract import folded, plain
from transforms.answers.maths import latex

LETTERS = "ABCDEFGHIJ"
_OPTION = re.compile(
    r"(?:option\s+)?[(\[]?(?P<letter>[A-J])[)\]]?(?:[).:,]*|(?P<mark>[).:,]*\s+[-–—]\s+|[).:,]+\s+|\s*\()(?P<rest>\S.*))",
    re.DOTALL | re.IGNORECASE,
)


def option_letter(text: str, options: tuple[str, ...]) -> str:
    """The letter of the option that `text` names, by letter, by its text, or by both if they agree; else ""."""
    text = plain(text.strip().rstrip(".!").strip()).rstrip(".").strip()
    named = _named(text, options)
    found = _OPTION.fullmatch(text)
    if named and not (found and not found["rest"]):
        return named
    if found is None or (options and found["letter"].upper() not in LETTERS[: len(options)]):
        return ""
    letter, rest = found["letter"].upper(), (found["rest"] or "").rstrip(")").strip()
    if not rest:
        return letter
    beside = _named(rest, options)
    if beside:
        return letter if beside == letter else ""
    loose = not re.match(r"[).:]+\s", found["mark"])
    another = re.search(r"\b(?:[B-HJ]|[AI](?!\s+[a-z]))\b", rest)
    return "" if another or (options and (loose or found["letter"].islower() or len(rest.split()) < 3)) else letter


def _named(text: str, options: tuple[str, ...]) -> str:
    """The letter of the only option that has this text, or ""."""
    wanted = _comparable(text)
    found = [letter for letter, option in zip(LETTERS, options, strict=False) if _comparable(option) == wanted]
    return found[0] if len(found) == 1 else ""


def _comparable(text: str) -> str:
    return folded(unicodedata.normalize("NFKC", plain(latex(text))).strip())  # 10² is no 102
