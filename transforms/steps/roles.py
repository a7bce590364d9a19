"""What each step of a trace does in it, told by rules over the cues of its sentences.

    "Okay, so I need the sum." | "2 + 3 = 5." | "Let me check: 5 − 3 = 2." → setup | derive | verify

docs/steps.md defines the roles, cues.toml has the word lists, and bench/roles.py compares with labels given by reading.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from transforms.text.discourse import SaidCues, cues_of, rules_of_english, shortened

ROLES = ("setup", "derive", "verify", "reflect", "branch", "backtrack", "conclude", "answer")

_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_RESULT = re.compile(
    r"(?:=|≈|\bis\b|\bequals\b|\bgives\b|\bmakes\b|\bgets?\b|\bare\b|\bleaves\b|\bbe\b)\s*[-$€£\\({*]*(\d[\d,]*(?:\.\d+)?)"
)
_ARROW = re.compile(r"=>|⇒|→|\\(?:Rightarrow|implies)")
_SO_YES = re.compile(r"(?:so|therefore|thus|hence)\W+(?:yes|yeah|yep)\b", re.IGNORECASE)
_WAIT = re.compile(r"(?:but|so|\W)*(?:wait|hold on|hmm)\b", re.IGNORECASE)
_PAUSE = re.compile(_WAIT.pattern + r"(?:wait|hold on|hmm|just|a|second|minute|moment|\W)*", re.IGNORECASE)
_OPTION = re.compile(r"\b[A-J]\b")
_WORD = re.compile(r"[^\W\d_]{2}|\b[a-zI]\b")
_CHOICE = re.compile(r"\W*(?:Option )?[A-J][.:)]|\W*Option [A-J]\b")
_WORKING = re.compile(
    r"[=≈⇒→]|\\(?:frac|times|cdot|div)|\b(?:times|plus|minus|divided by|multiplied by|multiply|subtract)\b.*\d|\d\s*[-+*/×÷^<>≤≥]\s*\d|[<>≤≥]\s*\d|\d\s*[<>≤≥]"
)


def roles(texts: Sequence[str], question: str, answer: str) -> list[str]:
    """What each step of a trace does in it: one of ROLES. `answer` is the trace's final answer, or "".

    A sentence has the role of the first cue that fits what it works out: of those it opens with, then of those it
    holds. One without a cue sets up, if it repeats words of the question or nothing was worked out before; verifies
    inside a check, or if it works with the numbers of an earlier working; else it derives. The step has the role that most of it
    serves: its first sentence counts more, and setting up counts less, the later it is in the trace.
    """
    with rules_of_english() as rules:
        flow = _Flow(rules.nlp.make_doc(shortened(question)), answer)
        docs = (rules.nlp(shortened(text)) for text in texts)
        return [flow.role(doc, number / len(texts)) for number, doc in enumerate(docs)]


class _Said(NamedTuple):
    """What a sentence says: numbers and results in it, and whether it works something out, and something new."""

    text: str
    numbers: set[str]
    results: set[str]
    working: bool
    new: bool
    restates: bool  # most of its words are the question's


class _Flow:
    """What is going on in a trace, from step to step."""

    def __init__(self, question: Any, answer: str):
        self.asked = _stems(question)
        self.given = _numbers(question.text)
        self.found: set[str] = set()  # numbers that an earlier sentence has
        self.lately: deque[set[str]] = deque(maxlen=_IN_A_ROW)  # those of each of the last sentences with working
        self.worked: deque[set[str]] = deque(maxlen=_REMEMBERED)  # all in `lately`, as it was after each
        self.answer = _numbers(answer) or set(_OPTION.findall(answer)[:1])
        self.settled = False  # the final answer has been found
        self.started = False  # something has been worked out
        self.checking = False  # this step has said that it checks
        self.weighing = False  # this step is about one of the options

    def role(self, doc: Any, position: float) -> str:
        """The role of the next step, `position` of the way through the trace: from 0 to 1."""
        self.checking, self.weighing = False, bool(_CHOICE.match(doc.text))
        weights, news, sentences = dict.fromkeys(_PRECEDENCE, 0.0), False, list(doc.sents)
        for sentence, cues in zip(sentences, cues_of(sentences), strict=True):
            said = self._said(sentence)
            if said.working or _WORD.search(said.text):  # more than "3." and "---"
                role = self._sentence(said, cues)
                opening = 0 if any(weights.values()) else _OPENING.get(role, 0)
                weights[role] += min(max(len(said.text), _SHORT), _LONG) + opening
                news = news or (said.new and said.working)
        if not any(weights.values()):
            return "derive" if self.started else "setup"
        if position == 0 and not news:
            weights["setup"] += _FIRST
        weights["setup"] *= (1 - position) * (_BESIDE_NEWS if news else 1)
        weights["answer"] *= 1 + 2 * position
        return max(_PRECEDENCE, key=lambda role: weights[role])

    def _said(self, sentence: Any) -> _Said:
        text = sentence.text.strip()
        results = {value.replace(",", "") for value in _RESULT.findall(text)}
        new, working = bool(results - self.given - self.found), bool(_WORKING.search(text))
        stems = set() if new or working else _stems(sentence)
        restates = len(stems & self.asked) > len(stems) / 2
        return _Said(text, _numbers(text), results, working, new, restates)

    def _sentence(self, said: _Said, cues: SaidCues) -> str:
        """The role of the next sentence, which has these cues."""
        role = self._cued(said, cues)
        again = said.working and len(said.numbers) > (1 if self.settled else 2) and self._worked_before(said.numbers)
        as_given = said.working and not said.new and said.numbers <= self.given and not _ARROW.search(said.text)
        if role in ("", "derive"):
            if said.restates and not role:
                role = "setup"
            elif self.checking or again:
                role = "verify"
            elif as_given and not role:
                role = "setup"
            else:
                role = "derive" if self.started or said.working or said.new or role else "setup"
        announced = role == "verify" and role in cues.opens
        self.checking = announced or (self.checking and role not in ("branch", "backtrack"))
        self.started = self.started or role == "derive"
        self.settled = self.settled or role == "answer" or bool((self.answer - self.given) & said.results)
        self.found |= said.numbers
        if said.working:
            self.lately.append(said.numbers)
            self.worked.append(set().union(*self.lately))
        return role

    def _worked_before(self, numbers: set[str]) -> bool:
        """Whether sentences in a row had all these numbers. The last one does not count: this may go on from it."""
        return any(numbers <= earlier for earlier in [*self.worked][:-1])

    def _cued(self, said: _Said, cues: SaidCues) -> str:
        """The role of the first cue that fits what is said, or ""."""
        if "\\boxed" in said.text:
            return "answer"
        firm = {"answer", "branch", "backtrack"} & {*cues.opens, *cues.holds}
        if "wording" in cues.holds and self.started and not (said.new or said.restates or firm):
            return "reflect"
        closes = len(said.numbers) <= _FEW and self.answer & said.numbers
        settles = self.settled and not said.new and not said.working
        unfit = {
            "wording": True,
            "setup": said.new or self.weighing,
            "reflect": said.new or said.working or self.weighing or (said.restates and "reflect" not in cues.opens),
            "verify": closes and bool(_SO_YES.match(said.text)),
            "conclude": self.weighing
            or ("verify" in cues.holds and not said.new)
            or not ("conclude" in cues.holds or closes or settles),
        }
        cued = [*sorted(cues.opens, key=_rank), *sorted(cues.holds, key=_rank)]
        if "branch" not in cues.opens:
            cued.sort(key=lambda role: role != "answer")  # that comes first wherever it stands
        role = next((role for role in cued if not unfit.get(role)), "")
        if said.text.endswith(":") and not said.new and not self.weighing:
            leads_in = role in ("", "derive", "reflect", "conclude") or (role == "verify" and not self.settled)
            return "setup" if leads_in else role
        if self.weighing:
            return role or "derive"
        if not role and _PAUSE.fullmatch(said.text):
            return "reflect"
        wonders = _WAIT.match(said.text) or not (said.working or said.restates)
        if role in ("", "setup", "derive", "conclude") and said.text.endswith("?") and not said.new and wonders:
            return "reflect"
        return "setup" if role in ("", "derive") and "reflect" in cues.holds and said.restates else role


_PRECEDENCE = ("answer", "backtrack", "branch", "verify", "conclude", "reflect", "setup", "derive")
_SHORT, _LONG = 40, 150  # a sentence counts for its characters, but for no fewer and no more than these
_OPENING = {"branch": 200, "verify": 60}  # characters that a step's first sentence counts for beside its own
_FIRST = 100  # characters for setting up in a trace's first step, if that works nothing out
_BESIDE_NEWS = 0.3  # how much of setting up counts in a step that works something new out
_REMEMBERED = 200  # sentences that worked something out
_IN_A_ROW = 3  # sentences that the same working may be spread over
_FEW = 2  # numbers that a sentence with the answer may have to conclude, not derive


def _rank(role: str) -> int:
    return (*_PRECEDENCE, "wording").index(role)


def _stems(words: Any) -> set[str]:
    """The words that carry meaning, without their endings."""
    return {token.lower_[:5] for token in words if token.is_alpha and not token.is_stop}


def _numbers(text: str) -> set[str]:
    return {number.replace(",", "").rstrip(".") for number in _NUMBER.findall(text)}
