"""ASAP: keeps the core path, then the steps whose first token surprises most (arXiv 2508.05988).

1. Anchor: which steps are on the core reasoning path. `teacher` is the paper's: the teacher writes a short solution and says
   of each step whether it is on that path (`annotate`). `lexical` needs no teacher: the anchor is the response, which
   solves the problem in a few sentences; a step is on the path if some sentence of the anchor shares enough of its
   numbers and words. Sentences that only state the answer are no anchor, and one on whose path no step is leaves all.
   `none` leaves this out.
2. Surprisal: of what is left, deletes the steps with the lowest −log p(first token | question, steps before), lowest first,
   until the budget holds. With `mode: global` the scores are those of one pass over the whole thinking, also for what an
   anchor left. With `iterative` the scorer reads what is left again in each of `rounds` rounds, the first before anything
   is deleted by its score; each takes an equal share of the tokens that have to go. (The paper scores what is left, once;
   its published code reads the unpruned trace. docs/score.md has what else differs.)

The paper's budgets are 0.8 of the tokens, or 1,024, 2,048 and 4,096 tokens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Literal, cast

import regex
from pydantic import Field, model_validator

from transforms.answers.statements import normalised, numbers, only_states, sentences
from transforms.core.config import refuse_unread
from transforms.core.records import Action, Decision, SegmentedTrace, Step
from transforms.inference.dialogue import Dialogue, answers_to
from transforms.inference.requests import TokenScores, turn
from transforms.pruning.budget import Budget, Deletion, lowest_first, within_budget
from transforms.pruning.given import PruneInput
from transforms.pruning.method import Method
from transforms.pruning.protection import protected
from transforms.steps.joining import of_steps
from transforms.steps.scores import first_visible, score_step

_WORD = regex.compile(r"[\p{L}\p{M}]{4,}")
_WORDLESS = regex.compile(
    r"[\p{Thai}\p{Lao}\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]"
)  # words are short, or not told apart
_ROOT = regex.compile(r"√\w{1,30}")
_LETTER = regex.compile(r"\p{L}")
_NUMBER_WEIGHT = 3  # of a shared number beside a shared word


class Config(Budget):
    """`anchor`: teacher | lexical | none. `min_shared`: the share of an anchor sentence's numbers and words that a step must have."""

    ratio: float = Field(0.8, gt=0, le=1)
    anchor: Literal["teacher", "lexical", "none"] = "lexical"
    min_shared: float = Field(0.4, gt=0, le=1)
    mode: Literal["global", "iterative"] = "global"
    rounds: int = Field(4, ge=1, le=100)

    @model_validator(mode="after")
    def _all_read(self) -> Config:
        if self.mode == "global":
            refuse_unread(self, "asap", ["rounds"], "mode = global ranks the steps once; with mode: iterative it is")
        if self.anchor != "lexical":
            refuse_unread(self, "asap", ["min_shared"], f"anchor = {self.anchor}; with anchor: lexical it is")
        return self

    @property
    def needs(self) -> frozenset[str]:
        """What these options need beside what all need."""
        return frozenset(["path"] * (self.anchor == "teacher") + ["scorer"] * (self.mode == "iterative"))


def prune(given: PruneInput, config: Config) -> list[Decision]:
    """DELETE what is off the path, and then the least surprising, in order."""
    off, surprisals = off_path(given, config), _surprisals(given)
    order = [deletion for deletion in lowest_first(surprisals) if deletion.step not in off]
    return _decided(given, off, order, surprisals, config)


def dialogue(given: PruneInput, config: Config) -> Dialogue[list[Decision]]:
    """The same, with what is left read again in each round."""
    off, sizes = off_path(given, config), [score.num_tokens for score in given.step_scores()]
    left = [step for step in range(len(sizes)) if step not in off]
    surprisals = _surprisals(given)
    excess = sum(sizes[step] for step in left) - config.of(given.num_tokens)
    order: list[Deletion] = []
    spared = protected(given.trace)
    for number in range(1, config.rounds + 1 if excess > 0 else 1):
        found = yield from _read_again(given, left)
        surprisals = [found.get(step, score) for step, score in enumerate(surprisals)]
        for deletion in lowest_first(surprisals):
            if sum(sizes[one.step] for one in order) >= excess * number / config.rounds:
                break
            if deletion.step in left and deletion.step not in spared:
                order.append(deletion)
                left.remove(deletion.step)
    return _decided(given, off, order, surprisals, config)


def _surprisals(given: PruneInput) -> list[float]:
    """Of the first token of each step, in the whole thinking."""
    return [score.first_token_surprisal_nats for score in given.step_scores()]


def _read_again(given: PruneInput, left: Sequence[int]) -> Dialogue[dict[int, float]]:
    """The surprisal of the first token of each step in what is left."""
    trace = given.trace
    texts = of_steps(trace.texts, set(left))
    ends = list(accumulate(map(len, texts)))
    text = "".join(texts)
    steps = [Step(end - len(one), end, "prose") for one, end in zip(texts, ends, strict=True)]
    places = [first_visible(text, step) for step in steps]
    asked = replace(turn(trace.prompt, text), spans=tuple((place, place + 1) for place in places))
    (exchange,) = yield from answers_to([asked])
    tokens = cast("TokenScores", exchange.response)
    return {
        number: score_step(text, step, tokens).first_token_surprisal_nats
        for number, step in zip(left, steps, strict=True)
    }


def _decided(
    given: PruneInput, off: set[int], order: Sequence[Deletion], surprisals: Sequence[float], config: Config
) -> list[Decision]:
    gone = sum(given.step_scores()[step].num_tokens for step in off)
    decided = within_budget(
        given, order, config.of(given.num_tokens) + gone, "its first token surprises less than others"
    )
    return [
        Decision(decision.step, Action.DELETE, "off the anchor's path", surprisal)
        if decision.step in off
        else replace(decision, score=surprisal)
        for decision, surprisal in zip(decided, surprisals, strict=True)
    ]


def off_path(given: PruneInput, config: Config) -> set[int]:
    """The steps that the anchor says are off the core path; none if none is on it. Protected steps never are."""
    if config.anchor == "none":
        return set()
    if config.anchor == "teacher":
        on = {step for step, opinion in enumerate(given.opinions()) if opinion.path != "aside"}
    elif not (_has_words(given.trace.thinking) and _has_words(given.trace.response)):
        return set()
    else:
        on = _aligned(given.trace, config.min_shared)
    return set(range(len(given.trace.steps))) - on - set(protected(given.trace)) if on else set()


def _has_words(text: str) -> bool:
    """Whether most of its letters are of scripts whose words can be compared."""
    return 2 * len(_WORDLESS.findall(text)) <= len(_LETTER.findall(text))


def _aligned(trace: SegmentedTrace, min_shared: float) -> set[int]:
    """The steps that share enough with some sentence of the response. One that only states the answer is no solution."""
    said = [one for one in sentences(trace.response) if not only_states(one, trace.answer)]
    anchor = [terms for sentence in said if (terms := _terms(sentence))]
    steps = [_terms(text) for text in trace.texts]
    return {
        number
        for number, terms in enumerate(steps)
        if any((terms & sentence).total() >= min_shared * sentence.total() for sentence in anchor)
    }


def _terms(text: str) -> Counter[str]:
    """Weights of the numbers, by value, of roots, and of the longer words without their endings."""
    plain = normalised(text)
    words = {word.lower()[:6] for word in _WORD.findall(plain)}
    values = [*(str(number.value) for number in numbers(plain)), *_ROOT.findall(plain)]
    return Counter(dict.fromkeys(words, 1) | dict.fromkeys(values, _NUMBER_WEIGHT))


METHOD = Method("asap", "5", Config, needs=frozenset({"scores"}), prune=prune, dialogue=dialogue)
