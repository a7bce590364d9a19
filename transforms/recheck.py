r"""Checks a pruned trace again, and gives steps back until it holds.

(a) The example as training will see it, `<think>pruned</think>response`, is parsed and verified: against the
    problem's reference, or where it has none against the answer of the original.
(b) Support: log p(answer | question, pruned) ≥ log p(answer | question, thinking) − max_loss, in nats per token of the
    answer (`transforms.answers.likelihood`), both without the sentences that only state the answer (`transforms.answers.statements`): else a
    thinking that keeps its last line would always pass. And it is max_loss above log p(answer | question), or as good as sure:
    else nothing shows that the version carries the answer, however little the original did (`Measured.least`).
(c) Coherence: whatever a kept step uses has been said before (`transforms.coherence.flow`). Steps that say what another one misses
    come back before the likelihoods are looked at, and so do those that these need.
(d) If `completions` is above 0: of so many answers that the model gives when it has to answer at once after the pruned
    thinking, without those sentences, the share `min_rate` is right.

    passed          all of it holds
    mended          it holds with the steps back whose values, names or parts it uses
    rolled_back     it holds with more of the deleted or rewritten steps as they were
    gave_up         it is the original again: none of the versions that were looked at holds
    original_fails  the original's own answer is not correct

Beyond coherence, steps are given back by their score, the highest first (equals, and what has none, the earliest first). How many is
found by bisection, each version with what it then uses; where the original is below what a version must reach, by giving back 1, 2, 4 …, up to half of them, until one
holds, and then by bisection. At most 1 + log2(steps) versions are checked, first the one that the method proposed, mended. No model is asked
for anything that depends on a threshold but for these versions, and all answers are in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import NamedTuple, cast

from pydantic import Field, model_validator

from transforms.answers.likelihood import answer_request, likelihood, statement
from transforms.answers.statements import without_statements
from transforms.answers.thinking import split_thinking
from transforms.coherence.arithmetic import arithmetic
from transforms.coherence.expressions import read
from transforms.coherence.flow import Flow
from transforms.core.config import Config as BaseConfig
from transforms.core.config import combination
from transforms.core.drops import Drop, Reason
from transforms.core.records import Action, Arithmetic, Message, Outcome, Problem, Rechecked, SegmentedTrace
from transforms.inference.dialogue import Dialogue, answers_to, or_drop
from transforms.inference.requests import (
    Completion,
    Exchange,
    GenerateRequest,
    Sampling,
    ScoreRequest,
    TokenScores,
    turn,
)
from transforms.judging import Config as Judging
from transforms.judging import checkable, judge_response
from transforms.steps.joining import staying
from transforms.steps.versions import Version


class Config(BaseConfig):
    """`max_loss_nats_per_token`: how much less likely, on average over its tokens, the answer may become.

    `coherence`: whether steps come back whose values, names and numbered parts a version uses.

    `completions`: answers drawn after the pruned thinking, of which the share `min_rate` has to be right; the model then
    has to be one that can generate, too.
    """

    model: str = Field("student", min_length=1)
    max_loss_nats_per_token: float = Field(0.1, ge=0)
    coherence: bool = True
    completions: int = Field(0, ge=0, le=1000)
    min_rate: float = Field(0.5, gt=0, le=1)
    sampling: Sampling = Sampling(max_tokens=64)

    @model_validator(mode="after")
    def _draws(self) -> Config:
        if self.completions > 1 and self.sampling.temperature == 0:
            raise combination(
                "recheck.sampling.temperature", f"must be above 0, or all {self.completions} completions are the same"
            )
        return self


JUDGING = Judging()
NUM_REQUESTS = 7  # for a trace whose pruned thinking holds


class Measured(NamedTuple):
    """How likely the answer is, in nats per token: after original and pruned thinking, and `without` any."""

    before: float
    pruned: float
    without: float

    @property
    def is_known(self) -> bool:
        """Whether there is anything to compare with."""
        return math.isfinite(self.before) and math.isfinite(self.without)

    def least(self, max_loss: float) -> float:
        """What a version must reach: no more than `max_loss` below the original, and as much above no thinking, or nearly sure."""
        above_none = math.nextafter(self.without + max_loss, math.inf)
        return max(self.before - max_loss, min(above_none, -max_loss))


class Check(NamedTuple):
    """What became of one version of the thinking: `reason` says why it does not hold, or is "".

    `support_nats_per_token` is of the answer after the version without its statements; NaN where it was not asked for.
    """

    reason: str
    support_nats_per_token: float
    completion_rate: float


class Settled(NamedTuple):
    """What goes on: the version with these steps given back, and how many versions were checked. `mended` are those for coherence."""

    status: str
    reason: str
    given_back: tuple[int, ...]
    support_nats_per_token: float
    completion_rate: float
    num_checks: int
    mended: tuple[int, ...] = ()


def dialogue(version: Version, config: Config, judging: Judging = JUDGING) -> Dialogue[Rechecked | Drop]:
    """Asks about original and pruned thinking, then about versions with steps given back; ends with the trace, or a drop.

    `judging` is how it is verified.
    """
    return or_drop(_rechecked(version, config, judging), version.id, "recheck", version.method)


def _rechecked(version: Version, config: Config, judging: Judging) -> Dialogue[Rechecked]:
    texts = [version.trace.thinking, version.proposed]
    contexts = [*texts, *(derivation(version.trace, text) for text in texts), ""]
    asked = [
        *(turn(version.trace.prompt, text) for text in texts),
        *_answers(version.trace, contexts),
    ]  # at once: they begin alike
    before, pruned, *answers = yield from answers_to(asked)
    plain_before, plain_pruned, *support = _per_token(answers, len(contexts))
    measured = Measured(*support)
    outcome = outcome_of(version.trace, judging)
    flow = flow_of(version.trace)
    edges = flow.edges(_stays(version, ())) if config.coherence else []
    if outcome == Outcome.CORRECT:
        settled = yield from _settled(version, measured, config, judging, flow)
    else:
        wrong = "the original's answer is not correct"
        settled = Settled("original_fails", wrong, _steps(restorable_groups(version)), measured.before, math.nan, 0)
    final = version.thinking_with(settled.given_back)
    after = {version.trace.thinking: before, version.proposed: pruned}.get(final)
    if after is None:
        (after,) = yield from answers_to([turn(version.trace.prompt, final)])
    return Rechecked(
        id=version.id,
        method=version.method,
        status=settled.status,
        reason=settled.reason,
        outcome=outcome,
        given_back=settled.given_back,
        mended=settled.mended,
        dangling=tuple(edges),
        arithmetic=_arithmetic(version, flow, settled.given_back),
        num_checks=settled.num_checks,
        answer_loglik_before_nats_per_token=plain_before,
        answer_loglik_pruned_nats_per_token=plain_pruned,
        answer_loglik_without_nats_per_token=measured.without,
        support_before_nats_per_token=measured.before,
        support_pruned_nats_per_token=measured.pruned,
        support_after_nats_per_token=settled.support_nats_per_token,
        supported=measured.before > measured.without,
        completion_rate=settled.completion_rate,
        num_tokens_before=_scores(before).num_tokens,
        num_tokens_pruned=_scores(pruned).num_tokens,
        num_tokens_after=_scores(after).num_tokens,
        mean_logprob_after_nats_per_token=_scores(after).mean_logprob_nats,
    )


def flow_of(trace: SegmentedTrace) -> Flow:
    """Where the original's values come from. The prompt is read too, as it has the options of a choice."""
    is_code = [step.kind == "code" for step in trace.steps]
    return Flow(f"{trace.problem.question}\n{trace.prompt}", trace.texts, is_code)


def _stays(version: Version, given_back: Collection[int]) -> list[str | None]:
    """The text of each step in a version, None for those that are gone."""
    return staying(version.trace.texts, version.pruned.decisions, given_back)


def mended(version: Version, flow: Flow, given_back: Collection[int]) -> tuple[int, ...]:
    """The steps to give back, with those that are missed then: until nothing dangles."""
    group_of = {step: group for group in restorable_groups(version) for step in group}
    back = set(given_back)
    while edges := flow.edges(_stays(version, back)):
        back.update(step for edge in edges for step in group_of[edge.producer])
    return tuple(sorted(back))


def _arithmetic(version: Version, flow: Flow, given_back: Collection[int]) -> Arithmetic:
    """Of the example that the version makes: thinking and response."""
    stays = [(step, text) for step, text in enumerate(_stays(version, given_back)) if text is not None]
    readings = [*(flow.reading(step, text) for step, text in stays), read(version.trace.response)]
    return arithmetic([*(text for _, text in stays), version.trace.response], readings)


def _settled(version: Version, measured: Measured, config: Config, judging: Judging, flow: Flow) -> Dialogue[Settled]:
    """The pruned thinking if it holds, mended where it is not coherent, else with as few steps given back as the search finds."""

    def completed(given_back: tuple[int, ...]) -> tuple[int, ...]:
        return mended(version, flow, given_back) if config.coherence else given_back

    groups, needed = restorable_groups(version), completed(())
    if groups and set(needed) == set(_steps(groups)):
        return Settled(
            "gave_up", "each removed step is needed by one that stays", needed, measured.before, math.nan, 0, needed
        )
    first = yield from _looked_at(version, needed, measured, config, judging)
    if not first.reason:
        status = "mended" if needed else "passed"
        return Settled(status, "", needed, first.support_nats_per_token, first.completion_rate, 1, needed)
    if not groups:
        reason = f"{first.reason}, and nothing was deleted"
        return Settled("gave_up", reason, (), measured.before, first.completion_rate, 1)
    if not measured.is_known:
        return Settled("gave_up", first.reason, _steps(groups), measured.before, math.nan, 1)
    groups = [group for group in groups if not set(group) <= set(needed)]
    best, num_checks = None, 1
    low, high = 0, len(groups)  # with `low` groups given back it does not hold; with `high` it does, or is the original
    original_holds = measured.before >= measured.least(config.max_loss_nats_per_token)
    while high - low > 1 and num_checks <= math.floor(math.log2(len(version.trace.steps))):
        between = best is not None or original_holds
        middle = (low + high) // 2 if between else min(max(1, 2 * low), high - 1)
        tried = _steps(groups[:middle])
        back = completed(_steps([needed, tried]))
        found = yield from _looked_at(version, back, measured, config, judging)
        num_checks += 1
        if found.reason:
            low = middle
        else:
            high, best = middle, (found, back, tuple(step for step in back if step not in tried))
    if best is None:
        return Settled("gave_up", first.reason, _steps([*groups, needed]), measured.before, math.nan, num_checks)
    check, given, for_others = best
    return Settled(
        "rolled_back", first.reason, given, check.support_nats_per_token, check.completion_rate, num_checks, for_others
    )


def _looked_at(
    version: Version, given_back: tuple[int, ...], measured: Measured, config: Config, judging: Judging
) -> Dialogue[Check]:
    """Whether the version with these steps given back holds."""
    thinking = version.thinking_with(given_back)
    support = measured.pruned
    if given_back:
        answer = yield from answers_to(_answers(version.trace, [derivation(version.trace, thinking)]))
        (support,) = _per_token(answer, 1)
    return (yield from _check(version, thinking, support, measured, config, judging))


def _check(
    version: Version, thinking: str, support: float, measured: Measured, config: Config, judging: Judging
) -> Dialogue[Check]:
    """Whether one version of the thinking holds."""
    if not intact(thinking, version.trace.response):
        return Check("the pruned trace does not parse as training would see it", math.nan, math.nan)
    max_loss = config.max_loss_nats_per_token
    if thinking != version.trace.thinking:
        if not (math.isfinite(support) and measured.is_known):
            return Check("how likely the answer is cannot be measured", support, math.nan)
        if support < measured.before - max_loss:
            return Check("the answer became too unlikely", support, math.nan)
        if support < measured.least(max_loss):
            return Check("the answer is not clearly likelier than without any thinking", support, math.nan)
    completions = yield from answers_to(_completions(version.trace, thinking, config))
    right = [_is_right(exchange, version.trace, judging) for exchange in completions]
    rate = sum(right) / len(right) if right else math.nan
    return Check("too few completions are right" if rate < config.min_rate else "", support, rate)


def derivation(trace: SegmentedTrace, thinking: str) -> str:
    """A version of the thinking without the sentences that only state the answer."""
    return without_statements(thinking, trace.answer, trace.problem, trace.thinking)


def restorable_groups(version: Version) -> list[tuple[int, ...]]:
    """The steps that are not as they were, in the order in which they are given back; those rewritten as one go together."""
    groups: list[list[int]] = []
    for decision in version.pruned.decisions:
        if decision.action == Action.MERGE:
            groups[-1].append(decision.step)
        elif decision.action != Action.KEEP:
            groups.append([decision.step])
    scores = {decision.step: decision.score for decision in version.pruned.decisions}
    ranked = sorted(groups, key=lambda group: (math.isnan(scores[group[0]]), -scores[group[0]], group[0]))
    return [tuple(group) for group in ranked]


def outcome_of(trace: SegmentedTrace, judging: Judging) -> Outcome:
    """The verdict on the original as training would see it. The pruned trace shares its response, and so its verdict."""
    if not intact(trace.thinking, trace.response):
        return Outcome.UNDECIDED
    response = trace.response.strip()
    return _judged(response, checkable(trace.problem, response), judging)


@lru_cache(maxsize=20_000)  # the methods that run in a process share the response, and code is slow to run
def _judged(response: str, problem: Problem, judging: Judging) -> Outcome:
    return judge_response(response, problem, judging)[1].outcome


def intact(thinking: str, response: str) -> bool:
    """Whether thinking and response in tags are told apart again; else a trainer's template would cut them elsewhere."""
    parts = split_thinking(f"<think>\n{thinking.strip()}\n</think>\n\n{response}", "tags")
    return not isinstance(parts, Reason) and parts == (thinking.strip(), response.strip())


def _answers(trace: SegmentedTrace, contexts: Sequence[str]) -> list[ScoreRequest]:
    """Ask for the answer after each of these thinkings; nothing where none is known."""
    answer, kind = measured_answer(trace), trace.problem.answer_kind
    return [answer_request(trace.prompt, thinking, answer, kind) for thinking in contexts] if answer else []


def measured_answer(trace: SegmentedTrace) -> str:
    """What the response states as its answer; where that cannot be told, the reference that it was verified against; or ""."""
    reference = "" if trace.problem.answer_kind == "code" else trace.problem.answer
    return trace.answer or reference


def _per_token(answers: Sequence[Exchange], number: int) -> list[float]:
    """How likely each is, in nats per token; NaN for all where there is no answer to ask for."""
    return [likelihood(answer).per_token for answer in answers] or [math.nan] * number


def _completions(trace: SegmentedTrace, thinking: str, config: Config) -> list[GenerateRequest]:
    if not config.completions:
        return []
    left, kind = derivation(trace, thinking), trace.problem.answer_kind
    return [answer_at_once(trace.prompt, left, kind, config.sampling, sample) for sample in range(config.completions)]


def answer_at_once(prompt: str, thinking: str, kind: str, sampling: Sampling, sample: int = 0) -> GenerateRequest:
    """The model has to go on after the thinking and "The final answer is \\boxed{"."""
    return GenerateRequest((Message("user", prompt),), sampling, sample, begun=statement(thinking, kind))


def said_at_once(completion: Completion, kind: str) -> str:
    """The response that such a completion makes. What it thinks of its answer later does not count."""
    response = statement("", kind) + completion.text
    return response if kind == "code" else response.partition("\n")[0]


def _is_right(exchange: Exchange, trace: SegmentedTrace, judging: Judging) -> bool:
    response = said_at_once(cast("Completion", exchange.response), trace.problem.answer_kind)
    return _judged(response, checkable(trace.problem, trace.response), judging) == Outcome.CORRECT


class _Read(NamedTuple):
    num_tokens: int
    mean_logprob_nats: float


def _scores(exchange: Exchange) -> _Read:
    """Number of tokens of a thinking, and the mean of their log-probabilities; NaN without tokens."""
    values = cast("TokenScores", exchange.response).logprobs_nats
    known = [value for value in values if value is not None]
    return _Read(len(values), math.fsum(known) / len(known) if known else math.nan)


def _steps(groups: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(sorted(step for group in groups for step in group))
