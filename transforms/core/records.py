"""The records that flow between stages. All are frozen; units are in the names.

A record is a row of a Parquet part; `transforms.core.schema` derives its Arrow schema from the fields here.
From the steps on, a record says what its stage found out, and no more: the parts of one number hold the same traces, and are
joined by id (`transforms.shards.joins`).

    Problem → Trace → Verdict
                    → SegmentedTrace → TraceScores, Annotations → Pruned → Rechecked → Kept → Example
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


def row_id(row: Any) -> str:
    """The id of a record, or of the first of joined records."""
    return row[0].id if isinstance(row, tuple) and not hasattr(row, "id") else row.id


def trace_id(problem_id: str, sample: int | str) -> str:
    """The id of a problem's trace: "sums-3", 1 → "sums-3/1"."""
    return f"{problem_id}/{sample}"


def problem_of(trace_id: str) -> str:
    """The id of a trace's problem: "sums-3/1" → "sums-3"."""
    return trace_id.rpartition("/")[0]


@dataclass(frozen=True)
class Message:
    """One turn of a chat, as in OpenAI's API."""

    role: str
    content: str


@dataclass(frozen=True)
class CodeTests:
    """How code is judged. All empty where the answer is no code.

    Either `asserts` (each a piece of Python, as HumanEval's and MBPP's) hold over what the program defines, or the
    program prints `outputs[i]` for `inputs[i]` on its standard input. `prefix` goes before the answer's code (HumanEval's
    prompt); `setup` runs after the program and before the asserts. `entry_point` is the function that the asserts call,
    or "" to find it in them.
    """

    prefix: str = ""
    setup: str = ""
    entry_point: str = ""
    asserts: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Problem:
    """What is asked, turn by turn, with its reference answer; `answer` is "" where there is none. A single question is one turn.

    `answer_kind` says how answers are compared: reasoning_gym | math | choice | text | code.
    `accepted` are other answers that are right too. `options` are the texts of a choice, A first.
    `entry` is the reasoning-gym entry as JSON that its own scorer wants, else empty. `license` is that of its source, as an SPDX
    identifier, or "" where none is known.
    """

    id: str
    source: str
    family: str
    turns: tuple[Message, ...]
    answer: str
    answer_kind: str
    entry: str
    accepted: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    tests: CodeTests = CodeTests()
    license: str = ""

    @property
    def question(self) -> str:
        """What the user says, turn after turn."""
        return "\n\n".join(turn.content for turn in self.turns if turn.role == "user")


def asked(question: str) -> tuple[Message, ...]:
    """A single question as turns."""
    return (Message("user", question),)


@dataclass(frozen=True)
class Trace:
    """One answer of a teacher. `raw` is its text unmodified, and `raw_reasoning` what the server gave beside it.

    `thinking` and `response` are parts of these.
    """

    id: str
    problem: Problem
    sample: int
    model: str
    prompt: str
    raw: str
    thinking: str
    response: str
    finish_reason: str
    num_prompt_tokens: int
    num_tokens: int
    mean_logprob_nats_per_token: float = math.nan  # of the teacher's own tokens; NaN where it does not say
    raw_reasoning: str = ""
    origin: str = ""  # of an imported trace: its id there, or its file and row
    recorded: str = ""  # what its source says of it: correct | incorrect


class Outcome(StrEnum):
    """The three verdicts. A verifier that cannot tell says undecided, never incorrect."""

    CORRECT = "correct"
    INCORRECT = "incorrect"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Verdict:
    """The judgement of one trace's answer. `rule` decided; `reason` says why, where it needs words.

    `reference` is what the answer was compared with: given | vote | none. `agreement` is the share of the
    problem's votes that the winning answer has, 0 where no vote was taken.
    """

    id: str
    problem_id: str
    family: str
    outcome: str
    extracted: str
    rule: str
    reason: str
    reference: str = "given"
    agreement: float = 0.0


@dataclass(frozen=True)
class Step:
    """Characters `start` to `end` of the thinking. The steps of a trace tile it.

    `kind` is what it begins with: prose | code | display_math | list | table. `role` is what it does: setup | derive |
    verify | reflect | branch | backtrack | conclude | answer (`transforms.steps.roles`), or "" where it was not asked.
    """

    start: int
    end: int
    kind: str
    role: str = ""

    def text(self, thinking: str) -> str:
        """What the step says."""
        return thinking[self.start : self.end]


@dataclass(frozen=True)
class SegmentedTrace:
    """A trace in steps. `answer` is the final answer that its response states (`transforms.answers.final`), or ""."""

    id: str
    problem: Problem
    model: str
    prompt: str
    thinking: str
    response: str
    answer: str
    steps: tuple[Step, ...]

    @property
    def texts(self) -> list[str]:
        """What each step says."""
        return [step.text(self.thinking) for step in self.steps]


@dataclass(frozen=True)
class StepScore:
    """What the scorer thought of one step: surprisals and entropies over its tokens, in nats.

    NaN stands for what was not asked for, and for the mean of no tokens, in a step too short to hold a token's start. The
    entropy is exact, and both sums are equal; or they bound it (`TraceScores.entropy`).
    """

    first_token_surprisal_nats: float
    mean_surprisal_nats: float
    sum_surprisal_nats: float
    sum_entropy_nats: float
    sum_entropy_upper_nats: float
    num_tokens: int


@dataclass(frozen=True)
class TraceScores:
    """Scores of all steps, and how likely the final answer is after the thinking (NaN and 0 tokens without an answer).

    `entropy` is exact | bounds | none. With `num_windows` above 1 the text was too long for the scorer and was read in
    overlapping pieces. The last two are empty unless asked for: the answer's log-likelihood after the first 0, 1, … n
    steps, and without step 0, 1, … n − 1.
    """

    id: str
    model: str
    steps: tuple[StepScore, ...]
    entropy: str
    answer_loglik_nats: float
    num_answer_tokens: int
    num_thinking_tokens: int
    num_windows: int = 1
    prefix_answer_logliks_nats: tuple[float, ...] = ()
    left_out_answer_logliks_nats: tuple[float, ...] = ()


@dataclass(frozen=True)
class Opinion:
    """What the teacher thinks of one step. Empty is what it was not asked.

    `action` is keep | delete | compress | merge, `path` core | aside. Their scores are calibrated log-probabilities of these, in
    this order, in nats, where opinions are compared by likelihood.
    """

    action: str = ""
    skill: str = ""
    action_scores_nats: tuple[float, ...] = ()
    path: str = ""
    path_scores_nats: tuple[float, ...] = ()


@dataclass(frozen=True)
class Rewrite:
    """The teacher's shorter text for the steps `first` to `last`."""

    first: int
    last: int
    text: str


@dataclass(frozen=True)
class Annotations:
    """The teacher's opinions on all steps of a trace; none where no method asks for them.

    `way` is structured | likelihood | "". `solution` is its own short solution, where the core path was asked for. Steps of which it
    did not decide something are counted. `prompts` is the checksum of the prompts.
    """

    id: str
    model: str
    way: str = ""
    opinions: tuple[Opinion, ...] = ()
    rewrites: tuple[Rewrite, ...] = ()
    solution: str = ""
    num_undecided: int = 0
    prompts: str = ""


class Action(StrEnum):
    """What pruning does with a step. A step that is merged is part of the rewritten text of an earlier one."""

    KEEP = "keep"
    DELETE = "delete"
    REWRITE = "rewrite"
    MERGE = "merge"


@dataclass(frozen=True)
class Decision:
    """What a method decided for one step, and why. `score` is what it ranked the step by; NaN where it ranks nothing.

    `text` is what a rewritten step says now.
    """

    step: int
    action: str
    reason: str
    score: float = math.nan
    text: str = ""


@dataclass(frozen=True)
class Edge:
    """Step `step` of a version uses something that a step which is gone has said: `producer`.

    `kind` is value | name | part (`transforms.coherence.flow`), `what` the value in digits, the name, or the part's label.
    """

    step: int
    kind: str
    what: str
    producer: int

    @property
    def said(self) -> str:
        """In words: "12 in step 4"."""
        return f"{self.what} in step {self.step}"


@dataclass(frozen=True)
class Arithmetic:
    """What is known of the equations of a text (`transforms.coherence.arithmetic`), and those that are false, as they stand there."""

    num_true: int = 0
    num_rounded: int = 0
    num_false: int = 0
    num_corrected: int = 0
    num_unknown: int = 0
    false_equations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pruned:
    """What a method made of a trace: one decision a step. `transforms.steps.versions` joins it with the steps.

    `shortfall` says why a budget was not met, or is "". `prompts` is the checksum of the prompts behind the annotations that
    the method read, or "".
    """

    id: str
    method: str
    method_version: str
    decisions: tuple[Decision, ...]
    shortfall: str = ""
    prompts: str = ""


@dataclass(frozen=True, kw_only=True)
class Rechecked:
    """What the re-check found of a pruned trace. `status` is passed | mended | rolled_back | gave_up | original_fails.

    The thinking that goes on is the pruned one with the steps in `given_back` as they were, of which those in `mended` came
    back as others use what they say. `dangling` is what the pruned one used without having said it, `arithmetic` of the final one
    and the response. Log-likelihoods are of
    the final answer, in nats per token of the answer; NaN without an answer. Those of the answer are after the original
    (`before`), after what the method proposed (`pruned`), and after no thinking at all (`without`). Those of the support
    are after the original, the proposed and the final thinking, all without the sentences that only state the answer. `supported` is false
    where the original makes the answer no more likely than no thinking does. `num_checks` versions were checked.
    """

    id: str
    method: str
    status: str
    reason: str
    outcome: str
    given_back: tuple[int, ...]
    mended: tuple[int, ...]
    dangling: tuple[Edge, ...]
    arithmetic: Arithmetic
    num_checks: int
    answer_loglik_before_nats_per_token: float
    answer_loglik_pruned_nats_per_token: float
    answer_loglik_without_nats_per_token: float
    support_before_nats_per_token: float
    support_pruned_nats_per_token: float
    support_after_nats_per_token: float
    supported: bool
    completion_rate: float  # of those drawn after the final thinking; NaN where none was
    num_tokens_before: int
    num_tokens_pruned: int
    num_tokens_after: int
    mean_logprob_after_nats_per_token: float  # of the thinking that goes on, by the scorer


@dataclass(frozen=True)
class Kept:
    """The choice of a trace, and of the method whose version training will see."""

    id: str
    method: str
    num_correct: int  # traces of the problem; of its samples, this is its pass rate (`transforms.selection.difficulty`)
    num_samples: int
    reference: str  # as in Verdict
    agreement: float


@dataclass(frozen=True)
class Example:
    """A training example: `messages` for the trainer, the rest to trace it back."""

    id: str
    problem_id: str
    messages: tuple[Message, ...]
    source: str
    license: str  # of the source, or "" where none is known
    family: str
    model: str
    method: str
    num_thinking_tokens: int
    num_thinking_tokens_original: int
    num_correct: int
    num_samples: int
    reference: str
    agreement: float
    round: int
