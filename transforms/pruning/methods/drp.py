r"""Does what the teacher says of each step: keep, delete, compress, or merge with its neighbours (DRP, arXiv 2505.13975).

The opinions and the rewritten texts are those of `annotate`. A rewrite is taken only if it is shorter and still has every
number and every formula of the original that later steps or the response use; else its steps stay as they were. The
published code does not look: it takes any text that its parser finds.

Actions by likelihood are followed only where they are above keep by more than `min_margin_nats`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from pydantic import Field
from text_to_num import alpha2digit

from transforms.answers.statements import normalised, numbers
from transforms.core.records import Action, Decision, Opinion, Rewrite
from transforms.pruning.given import PruneInput
from transforms.pruning.method import Method, MethodConfig
from transforms.pruning.protection import protected

_FORMULA = re.compile(
    r"\\\((?P<inline>[^\n]{1,300}?)\\\)|\\\[(?P<display>.{1,500}?)\\\]|\$\$(?P<dollars>[^$]{1,500})\$\$"
    r"|\$(?P<dollar>[^$\n]{0,200}[=+*/^\\<>A-Za-z][^$\n]{0,200})\$(?!\d)",
    re.DOTALL,
)
# A side of a formula is a number or a short name: "2x", "(a", "f(x)".
_SIDE = r"(?:(?=[\w.()]{0,39}\d)[\w.()]{1,40}|\(?[^\W\d]{1,2}(?:\(\w{1,2}\))?\)?)"
_PLAIN = re.compile(rf"(?<![\w-]){_SIDE}(?:[ \t]{{0,2}}[-−+*/×÷·^=<>][ \t]{{0,2}}[-−]?{_SIDE}){{1,40}}(?![\w-])")
# "5x", "12:30", "20k", "3rd", "5!", "√5"
_ATTACHED = re.compile(r"(?<![\w.])\d[\d.,:]{0,40}(?:[^\W\d_]\w{0,40}|(?<=\d:\d\d)(?!\w)|!)|√\w{1,40}")
_ANY_NUMBER = re.compile(r"-?\d[\w.,:/]*%?")
_PERCENT = re.compile(r"(?<![\d./])\d{1,40}(?:\.\d{1,40})?(?=\s?(?:%|per\s?cent\b))")
_OPENER = re.compile(
    r"(?:^|(?<=[.!?:\n]))[^\S\n]{0,8}(?:first|second|third|fourth)(?:ly)?,", re.IGNORECASE
)  # no numbers of anything
_MULTIPLE = re.compile(
    r"\b(?:half|halv(?:e[sd]?|ing)|twice|doubl(?:e[sd]?|ing)|tripl(?:e[sd]?|ing)|thrice|quarter)\b(?![- ]check)",
    re.IGNORECASE,
)
_MULTIPLES = {"hal": " 1/2 ", "twi": " 2 ", "dou": " 2 ", "tri": " 3 ", "thr": " 3 ", "qua": " 1/4 "}
_COUNTED = re.compile(
    r"(?<![\d.,/])(?P<count>\d{1,9})[\s-](?:(?P<quarters>quarters)(?=\sof\b)|dozens?\b)|\bdozens?\b", re.IGNORECASE
)
_INVERSE = {"1/2": "2", "2": "1/2"}  # who divides by two halves
_VULGAR = re.compile("[¼-¾⅐-⅞]")
_MONEY = re.compile(r"\d[\d,.]*\s[a-z]")  # "$5 and $6" is no formula


class Config(MethodConfig):
    """`rewrites`: whether steps are compressed and merged; without it they stay as they are."""

    min_margin_nats: float = Field(0.0, ge=0)
    rewrites: bool = True

    @property
    def needs(self) -> frozenset[str]:
        """What is rewritten has to be asked for."""
        return frozenset(["rewrites"] * self.rewrites)


def prune(given: PruneInput, config: Config) -> list[Decision]:
    """One decision a step, by the teacher's opinions."""
    trace = given.trace
    opinions, rewrites = given.opinions(), given.rewrites() if config.rewrites else ()
    spared = protected(trace)
    actions = [
        "keep" if step in spared else _action(opinion, config.min_margin_nats) for step, opinion in enumerate(opinions)
    ]
    decisions = [
        Decision(step, Action.DELETE if action == "delete" else Action.KEEP, reason, _keep_score(opinion))
        for step, (action, opinion) in enumerate(zip(actions, opinions, strict=True))
        for reason in [spared.get(step) or _reason(action, opinion, config.rewrites)]
    ]
    texts = trace.texts
    for rewrite in rewrites:
        part = range(rewrite.first, rewrite.last + 1)
        if all(actions[step] in ("compress", "merge") for step in part):
            later = [texts[step] for step in range(part.stop, len(texts)) if actions[step] != "delete"]
            refused = why_not("".join(texts[part.start : part.stop]), rewrite, [*later, trace.response])
            for step in part:
                decisions[step] = _rewritten(decisions[step], _named(actions[step], opinions[step]), rewrite, refused)
            continue
        for step in part:  # by likelihood, with a margin
            if actions[step] in ("compress", "merge"):
                reason = f"{_named(actions[step], opinions[step])}: kept, as a step to be merged with it stays"
                decisions[step] = replace(decisions[step], reason=reason)
    return decisions


def why_not(original: str, rewrite: Rewrite, later: Sequence[str]) -> str:
    """What is wrong with a rewrite, or "": `later` are the texts that may use what the original has."""
    if len(rewrite.text) >= len(original):
        return "no shorter"
    had, said, used = terms(original), terms(rewrite.text), {term for text in later for term in terms(text)}
    if lost := [term for term in had if term in used and term not in said]:
        return f"without {lost[0]}"
    as_word = not re.search(r"\b1\b", rewrite.text)  # "one" may be no number
    known = {*had, *(_INVERSE[term] for term in had if term in _INVERSE)}
    new = [term for term in said if term not in known and _ANY_NUMBER.fullmatch(term) and not (term == "1" and as_word)]
    return f"with {new[0]}, which was not there" if new else ""


@lru_cache(maxsize=4096)
def terms(text: str) -> list[str]:
    """Numbers by value, and formulas without their spaces, each once: "\\(x = 5\\) of 1,200" → ["x=5", "5", "1200"].

    Formulas are what stands in marks of maths, and runs such as "2x + 7 = 15". Numbers may be words ("twenty-five", "half") or
    one sign (⅓); with something attached ("12:30", "5x", "20k", "50%") they are as they are written, too.
    """
    found: dict[str, None] = {}
    for match in _FORMULA.finditer(text):
        formula = next(filter(None, match.groups()))
        if match["dollar"] is None or not _MONEY.match(formula):
            found["".join(formula.split())] = None
    for match in _PLAIN.finditer(text):
        found["".join(match[0].replace("−", "-").split()).strip(".()")] = None
    said = _MULTIPLE.sub(lambda word: _MULTIPLES[word[0][:3].lower()], _OPENER.sub(" ", text))
    said = _COUNTED.sub(_multiplied, alpha2digit(said, "en", threshold=0))
    plain = normalised(_VULGAR.sub(_in_digits, said))
    for number in numbers(plain):
        found[str(number.value)] = None
    for percent in _PERCENT.findall(plain):
        found[f"{Fraction(percent)}%"] = None
    for attached in _ATTACHED.findall(plain):
        found[attached.lower()] = None
    return list(found)


def _multiplied(found: re.Match[str]) -> str:
    """ "3 quarters of" as 3 and 3/4, "2 dozen" as 2 and 24, "dozens" as 12."""
    if not found["count"]:
        return " 12 "
    count = int(found["count"])
    return f" {count} and {Fraction(count, 4) if found['quarters'] else 12 * count} "


def _in_digits(sign: re.Match[str]) -> str:
    """⅓ as 1/3."""
    return f" {Fraction(unicodedata.numeric(sign[0])).limit_denominator(1000)} "


def _named(action: str, opinion: Opinion) -> str:
    return f"{action} ({opinion.skill})" if opinion.skill else action


def _reason(action: str, opinion: Opinion, rewrites: bool) -> str:
    """Why the step stays or goes, as long as no rewrite of it is taken."""
    if action not in ("compress", "merge"):
        return _named(action, opinion)
    return f"{_named(action, opinion)}: kept, as {'no rewrite came' if rewrites else 'rewrites are off'}"


def _rewritten(decision: Decision, named: str, rewrite: Rewrite, refused: str) -> Decision:
    step = decision.step
    if refused:
        return Decision(step, Action.KEEP, f"{named}: kept, as the rewrite is {refused}", decision.score)
    if step == rewrite.first:
        return Decision(step, Action.REWRITE, named, decision.score, rewrite.text)
    return Decision(step, Action.MERGE, f"{named}: into step {rewrite.first}", decision.score)


def _action(opinion: Opinion, min_margin_nats: float) -> str:
    """The teacher's; keep where it is not far enough above keep."""
    if (
        opinion.action_scores_nats
        and max(opinion.action_scores_nats) - opinion.action_scores_nats[0] <= min_margin_nats
    ):
        return "keep"
    return opinion.action


def _keep_score(opinion: Opinion) -> float:
    """How much the teacher would keep the step; NaN where it gives no scores."""
    return opinion.action_scores_nats[0] if opinion.action_scores_nats else math.nan


METHOD = Method("drp", "5", Config, needs=frozenset({"actions"}), prune=prune)
