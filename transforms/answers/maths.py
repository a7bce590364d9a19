r"""What math-verify would take for equal and is not, or cannot compare: found before it is asked.

    items("x=3, y=4") → Items("named", ("3", "4")) by name; items(r"\{1, 2\}") → Items("set", …); items("(1, 2)") → "tuple"
    without_unit(r"3 \times 10^8 \text{ m/s}") → (r"3 \times 10^8", "m/s")

math-verify compares lists as sets ("2,2,3" and "2,3,3"), drops names ("x=3, y=4" and "y=3, x=4"), and reads "101_2" as
101, "5?" as 5 and "10:30 am" as "10:30 pm".
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from transforms.answers.extract import WORD, plain, unwrapped
from transforms.answers.numbers import other_unit

_UNIT = re.compile(
    r"(?P<rest>.*[^\s~,;=(])\s*(?:\\[,;!: ]|~)*\\(?:text|mathrm|mbox|textrm)\s*\{(?P<unit>[^{}\d]+)\}(?:\^\{?\d\}?)?\.?",
    re.DOTALL,
)
_NAMED = re.compile(r"\s*(?P<name>[A-Za-z](?:_\{?\w\}?)?)\s*=\s*(?P<value>[^=]+)")
_HALF = re.compile(r"\b([ap])\.?m\b", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9A-F]+")
_IN_BASE = re.compile(r"(?P<digits>[0-9A-F]+)(?:_\{?(?P<base>\d{1,2})\}?)?")
_PRIME = re.compile(r"(?<=[A-Za-z'])'(?![A-Za-z])")
_CLOCK = re.compile(r"\d:\d\d")
_BASE = re.compile(r"\d_\{?(\d+)")
_ODD_COMMAND = re.compile(
    r"\\(?:[lcd]?dots|sim|approx|minus|overline|[pb]?mod|equiv)(?![a-zA-Z])|\\(?:sin|cos|tan)(?![a-zA-Z]).*\\circ"
)
_ODD = re.compile(
    r"\d'|\?|\.\.|…|[-+*/–]\s*$|–|_|\b0x|\d\s*x\s*10|:|\d\s+\(|[A-Za-z]{2,}|\d\s+[A-Z]\b|\d\s*[kKMB]$|\d\s+[a-z]\^"
)
_COMMAND = re.compile(r"\\(?:begin|end)\{\w+\*?\}|\\[a-zA-Z]+")
_SPACING = re.compile(r"(?<!\\)\\[,;!:]|\\(?:left|right)(?![a-zA-Z])")
_POINTS = re.compile(r"[-−+]?\d+(?:[.,]\d+)+")
# What LaTeX writes in another way. The rest of what is not ASCII is not known, but for quotes, units and spaces.
_SCRIPT = re.compile(r"[⁰¹²³⁴-⁹⁺⁻ⁿ]+")
_SCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_ROOT = re.compile(r"√\s{0,3}(?:\(([^()]*)\)|(\d+|[A-Za-z]))")
_VULGAR = re.compile("[¼-¾⅐-⅞]")
_SYMBOLS = str.maketrans(
    {"×": "\\times ", "·": "\\cdot ", "⋅": "\\cdot ", "÷": "\\div ", "⁄": "/", "−": "-", "π": "\\pi ", "θ": "\\theta ", "∞": "\\infty ", "±": "\\pm ",
     "≤": "\\le ", "≥": "\\ge ", "≠": "\\neq ", "≈": "\\approx ", "∪": "\\cup ", "∩": "\\cap ", "∈": "\\in "}
)  # fmt: skip
_FOREIGN = r"[^\x00-\x7f\s°µμΩ€£¥₹¢’‘“”–—…。]"
_UNKNOWN = re.compile(rf"\d(?:[\s$*~{{]|\\[,;!: ]|\\text){{0,6}}{_FOREIGN}|{_FOREIGN}[\s$*]{{0,3}}\d")
# The commands that math-verify reads, or that change nothing where it leaves them out.
_COMMANDS = re.compile(r"\\([a-zA-Z]+)")
_KNOWN = re.compile(
    r"[dtc]?frac|[dt]?binom|sqrt|times|cdot|div|pm|mp|sum|prod|int|lim|infty|cup|cap|in|setminus|mid|emptyset|varnothing|angle|triangle|prime|circ|degree|"
    r"[lg]eq?(?:slant)?|[lg]t|neq?|approx|sim|equiv|[pb]?mod|and|or|land|lor|(?:arc)?(?:sin|cos|tan)h?|cot|sec|csc|log|ln|lg|exp|"
    r"left|right|[bB]igg?[lr]?|[lr](?:angle|floor|ceil|vert)|vert|vec|bar|overline|[cl]?dots|begin|end|q?quad|boxed|fbox|mbox|operatorname|displaystyle|"
    r"boldsymbol|text(?:bf|it|rm)?|math(?:rm|bf|it|bb|cal)|[aA]lpha|[bB]eta|[gG]amma|[dD]elta|(?:var)?epsilon|zeta|eta|(?:var)?theta|Theta|iota|kappa|"
    r"[lL]ambda|mu|nu|[xX]i|[pP]i|rho|[sS]igma|tau|upsilon|(?:var)?phi|Phi|chi|[pP]si|[oO]mega"
)


class Items(NamedTuple):
    """The values of a list, and what holds them: set | tuple | interval | named | bare. `text` is all of it."""

    kind: str
    parts: tuple[str, ...]
    text: str


def items(text: str) -> Items:
    """The values of a list; one part where it is none."""
    bare = unwrapped(_SPACING.sub("", re.sub(r",\s{0,3}\\!\s{0,3}", ",", text))).strip().rstrip(".,;").strip()
    kind = "bare"
    for opening, closing, name in (("\\{", "\\}", "set"), ("(", ")", "tuple"), ("[", "]", "interval")):
        if bare.startswith(opening) and bare.endswith(closing) and _closes_last(bare, opening, closing):
            kind, bare = name, bare[len(opening) : -len(closing)]
            break
    if kind == "bare" and bare[:1] in ("(", "[") and bare[-1:] in (")", "]") and len(_split(bare[1:-1])) == 2:
        kind, bare = "interval", bare[1:-1]
    if "\\cup" in bare or "\\cap" in bare:
        return Items("bare", (text,), text)
    parts = [value for part in _split(bare) for value in _both_signs(part)]
    if len(WORD.findall(bare)) >= 3:
        parts = [bare]  # a sentence
    if kind == "bare" and re.fullmatch(r"\\?[$€£]?[-−+]?\d{1,3}(?:,\d{3})+(?!\d)\D*(?:\.\d+\D*)?", bare):
        parts = [bare]  # thousands
    named = [_NAMED.fullmatch(part) for part in parts]
    if len(parts) > 1 and all(named):
        pairs = sorted((found["name"], found["value"].strip()) for found in named if found)
        return Items("named", tuple(f"{name}={value}" for name, value in pairs), text)
    return Items(kind, tuple(parts) if len(parts) > 1 else (text,), text)


def without_unit(text: str) -> tuple[str, str]:
    """The text, and the unit in words behind its last number."""
    found = _UNIT.fullmatch(unwrapped(text))
    return (found["rest"], found["unit"].strip()) if found else (text, "")


def latex(text: str) -> str:
    r"""The text with its common symbols as LaTeX: "3 × 10⁸" → "3 \times 10^8", "5½" → "5\frac{1}{2}", "2√3" → "2\sqrt{3}"."""
    if text.isascii():
        return text
    text = _VULGAR.sub(
        lambda found: "\\frac{{{}}}{{{}}}".format(*unicodedata.normalize("NFKC", found[0]).split("⁄")), text
    )
    text = _ROOT.sub(lambda found: f"\\sqrt{{{found[1] or found[2]}}}", text)
    return _SCRIPT.sub(_raised, text).translate(_SYMBOLS)


def _raised(found: re.Match[str]) -> str:
    power = found[0].translate(_SCRIPTS)
    return f"^{power}" if len(power) == 1 else f"^{{{power}}}"


def unlike(answer: str, reference: str) -> str:
    """Why the two are not to be compared at all, even where what is left of them is equal, or ""."""
    if answer == reference:
        return ""
    for text in (answer, reference):
        if not text.isascii() and (unknown := _UNKNOWN.search(text)):
            return f"{unknown[0]!r} is not known"
    odd = [name for name in _COMMANDS.findall(answer) if not _KNOWN.fullmatch(name) and f"\\{name}" not in reference]
    return f"\\{odd[0]} may change the answer" if odd else other_unit(answer, reference)


def letters(text: str) -> set[str]:
    """The variables of a text, and the letters of what may be its unit."""
    return set(re.findall(r"[A-Za-z]", _COMMAND.sub(" ", text.rpartition("=")[2])))


def grouping(answer: str, reference: str) -> str:
    """Why the same digits with commas in other places cannot be compared, or ""; where one of the two is no number."""
    digits = _grouped(answer)
    return "commas that group digits or separate numbers" if digits and digits == _grouped(reference) else ""


def doubtful(answer: str, reference: str) -> str:
    """Why the two cannot be compared, or ""."""
    if _CLOCK.search(answer) and _CLOCK.search(reference) and _half(answer) != _half(reference):
        return "morning or afternoon"
    if _BASE.findall(answer) != _BASE.findall(reference):
        values = _whole(answer), _whole(reference)
        digits = [_DIGITS.findall(text)[:1] for text in (answer, reference)]
        if None in values or values[0] == values[1] or digits[0] == digits[1]:
            return "another base, or none"
    if (":" in answer) != (":" in reference) and re.search(r"\d\s*:\s*\d", answer + reference):
        return "a time or a ratio, and none"
    if len(_PRIME.findall(answer)) != len(_PRIME.findall(reference)):
        return "another number of primes"
    joins = [{word for word in ("and", "or") if re.search(rf"\b{word}\b", text)} for text in (answer, reference)]
    if all(joins) and joins[0] != joins[1]:
        return "'and' where 'or' is asked, or the other way round"
    return ""


def points(answer: str) -> str:
    """Why digits with points and commas may be a number or several, or ""."""
    return "points or commas that may separate thousands or decimals" if _POINTS.fullmatch(plain(answer)) else ""


def no_number(answer: str) -> str:
    """Why an answer that is no lone number may still be one, or ""; for references that are."""
    text = plain(answer)
    if _ODD_COMMAND.search(text) or _ODD.search(_COMMAND.sub("·", text)):
        return "words, or signs, that may change the number"
    return "several numbers where one is asked" if re.search(r"\d\s+\d", text) else ""


def _whole(text: str) -> int | None:
    """The value of a whole number with or without its base."""
    found = _IN_BASE.fullmatch(plain(text).replace(" ", ""))
    try:
        return int(found["digits"], int(found["base"] or 10)) if found else None
    except ValueError:
        return None


def _grouped(text: str) -> str:
    """The digits, where there are only digits, commas and spaces."""
    text = plain(text)
    return re.sub(r"[,\s]", "", text) if re.fullmatch(r"[\d,\s]+", text) else ""


def _half(text: str) -> str:
    found = _HALF.search(text)
    return found[1].lower() if found else ""


def _closes_last(text: str, opening: str, closing: str) -> bool:
    """Whether the first bracket is closed by the last one."""
    depth = 0
    for place in range(len(text)):
        depth += text.startswith(opening, place) - text.startswith(closing, place)
        if depth == 0:
            return place == len(text) - len(closing)
    return False


def _both_signs(part: str) -> list[str]:
    """The two values of "1 \\pm x"."""
    if part.count("\\pm") != 1:
        return [part]
    return [part.replace("\\pm", sign).removeprefix("+").strip() for sign in "+-"]


def _split(text: str) -> list[str]:
    """The parts between commas, semicolons, "and" and "or" that no bracket holds."""
    text = text.replace("{,}", "")
    parts, depth, start = [], 0, 0
    for found in re.finditer(r"[(\[{]|[)\]}]|[,;]|\\text\{\s*(?:and|or)\s*\}|\s(?:and|or)\s", text):
        if found[0] in "([{":
            depth += 1
        elif found[0] in ")]}":
            depth -= 1
        elif depth == 0:
            parts.append(text[start : found.start()])
            start = found.end()
    parts.append(text[start:])
    return [part.strip().strip("$").strip() for part in parts if part.strip().strip("$").strip()] or [text]
