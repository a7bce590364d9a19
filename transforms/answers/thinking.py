r"""Tells the thinking from the answer in a teacher's raw text.

    tags           "2 + 3 = 5.</think>The answer is 5."   → "2 + 3 = 5." | "The answer is 5."
    field          "The answer is 5.", and "2 + 3 = 5." beside it, as some servers give it (`reasoning_content`)
    before_answer  "2 + 3 = 5.\n\nSo it is \boxed{5}."    → "2 + 3 = 5." | "So it is \boxed{5}."

`tags` knows the marks of many model families (MARKS); the opening one may be missing, since chat templates put it into
the prompt. `before_answer` is for teachers that do not mark their thinking: the response starts with the line that
states the final answer (or the display maths it stands in), the reasoning is what comes before. Where code is asked
for, the response starts with the last code block. `auto` takes the field where there is one, then tags, then this.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from transforms.answers.extract import final_answer, stated_answer
from transforms.core.drops import DropReason, Reason
from transforms.text.constructs import construct_start

Thinking = Literal["auto", "tags", "field", "before_answer"]
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


class Marks(NamedTuple):
    """How a family of models marks its thinking. `words`: text may well hold the marks, so the opening one must be at its start."""

    opening: str
    closing: str
    words: bool = False


MARKS = (
    Marks("<think>", "</think>"),  # DeepSeek-R1, Qwen3, QwQ, GLM, Nemotron, OLMo, MiniMax, ERNIE, Hunyuan …
    Marks("<thinking>", "</thinking>", words=True),
    Marks("<reasoning>", "</reasoning>", words=True),
    Marks("<thought>", "</thought>", words=True),
    Marks("<|begin_of_thought|>", "<|end_of_thought|>"),  # OpenThoughts, Bespoke-Stratos, Sky-T1
    Marks("[THINK]", "[/THINK]"),  # Magistral
    Marks("<seed:think>", "</seed:think>"),  # Seed-OSS
    Marks("<mm:think>", "</mm:think>"),  # MiniMax M3
    Marks("◁think▷", "◁/think▷"),  # Kimi
    Marks("<|open|>think<|sep|>", "<|close|>think<|sep|>"),  # Kimi K3
    Marks("<|START_THINKING|>", "<|END_THINKING|>"),  # Cohere
    Marks("<|channel>thought", "<channel|>"),  # Gemma
    Marks("<|im_start|>think", "<|im_start|>answer"),  # s1
    Marks("think\n", "\nanswer\n", words=True),  # s1, its special tokens left out
    Marks("Here is my thought process:", "Here is my response:", words=True),  # Granite
    Marks("Here's my thought process:", "Here's my response:", words=True),
)
WRAPPERS = (  # what some put around the answer
    ("<answer>", "</answer>"),
    ("<response>", "</response>"),
    ("<|begin_of_solution|>", "<|end_of_solution|>"),
    ("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
    ("<|START_TEXT|>", "<|END_TEXT|>"),
    ("<|open|>response<|sep|>", "<|close|>response<|sep|>"),
)
ENDS = (  # of a turn
    "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|return|>", "<|end|>", "<turn|>", "<eos>", "</s>", "<seed:eos>",
    "<|END_OF_TURN_TOKEN|>", "<｜end▁of▁sentence｜>",
)  # fmt: skip
# Harmony, of gpt-oss: a message is for one channel.
_HARMONY = re.compile(
    r"<\|channel\|>(?P<channel>analysis|commentary|final)[^<]*(?:<\|constrain\|>\w+)?<\|message\|>"
    r"(?P<text>.*?)(?=<\|(?:end|return|call|start|channel)\|>|\Z)",
    re.DOTALL,
)


class Parts(NamedTuple):
    """Both stripped of outer white space."""

    thinking: str
    response: str


def split_thinking(raw: str, mode: Thinking = "auto", kind: str = "math", reasoning: str = "") -> Parts | Reason:
    """Thinking and response of `raw`, and of `reasoning`, what a server gave beside it. `kind` is the problem's answer_kind."""
    text = _without_end(raw)
    if mode == "field" or (mode == "auto" and reasoning.strip()):
        return _by_field(text, reasoning)
    if text.lstrip().startswith(("<|channel|>", "<|start|>")) and mode != "before_answer":
        return _by_channels(text)
    marks = _marks(text)
    if mode == "tags" or (mode == "auto" and marks):
        parts = _by_tags(text, marks or MARKS[0])
        if mode == "auto" and isinstance(parts, Reason) and parts.reason == DropReason.EMPTY_TEXT:
            unmarked = _before_answer(text.partition((marks or MARKS[0]).closing)[2], kind)  # its thinking was off
            return parts if isinstance(unmarked, Reason) else unmarked
        return parts
    return _before_answer(text, kind)


def _marks(text: str) -> Marks | None:
    """The marks that a text begins with, else those of its first closing mark."""
    start = text.lstrip()
    found = [
        (not start.startswith(marks.opening), text.find(marks.closing), marks)
        for marks in MARKS
        if start.startswith(marks.opening) or (not marks.words and marks.closing in text)
    ]
    return min(found)[2] if found else None


def _by_tags(text: str, marks: Marks) -> Parts | Reason:
    thinking, close, response = text.partition(marks.closing)
    if not close:
        return Reason(DropReason.NO_FINAL_ANSWER, f"no {marks.closing.strip()}: the thinking never ended")
    before, opened, inside = thinking.partition(marks.opening)
    if marks.words and before.strip():
        opened, inside = "", thinking
    if opened and before.strip():
        return Reason(DropReason.BROKEN_TAGS, f"text before {marks.opening}: {before.strip()[:120]}")
    return _checked(inside if opened else thinking, _unwrapped(response), marks)


def _by_field(text: str, reasoning: str) -> Parts | Reason:
    if not reasoning.strip():
        return Reason(DropReason.EMPTY_TEXT, "the server gave no reasoning beside the text")
    return _checked(reasoning, _unwrapped(text))


def _by_channels(text: str) -> Parts | Reason:
    messages = [(found["channel"], found["text"]) for found in _HARMONY.finditer(text)]
    answers = [text for channel, text in messages if channel == "final"]
    if not answers:
        return Reason(DropReason.NO_FINAL_ANSWER, "no message in the channel final: the thinking never ended")
    thinking = [text.strip() for channel, text in messages if channel == "analysis"]
    return _checked("\n\n".join(thinking), answers[-1])


def _before_answer(raw: str, kind: str) -> Parts | Reason:
    answer = stated_answer(raw, kind) if kind == "code" else final_answer(raw)
    if answer is None or answer.rule == "whole":
        return Reason(DropReason.NO_FINAL_ANSWER, f"no final-answer statement; the text ends: {raw.strip()[-120:]}")
    start = construct_start(raw, answer.start)
    if not raw[:start].strip():  # all in one line: the last sentence is the statement
        ends = [found.end() for found in _SENTENCE_END.finditer(raw, 0, answer.start)]
        start = ends[-1] if ends else 0
    return _checked(raw[:start], raw[start:])


def _without_end(raw: str) -> str:
    """The text without the marks that end a turn."""
    text = raw.rstrip()
    while end := next((end for end in ENDS if text.endswith(end)), ""):
        text = text.removesuffix(end).rstrip()
    return text


def _unwrapped(response: str) -> str:
    """The answer itself, where it stands in a wrapper; the closing part may have been cut off as an end of the turn."""
    text = response.strip()
    for opening, closing in WRAPPERS:
        inside = text.removeprefix(opening)
        if inside != text and opening not in inside and closing not in inside.removesuffix(closing):
            return inside.removesuffix(closing)
    return text


def _checked(thinking: str, response: str, marks: Marks = MARKS[0]) -> Parts | Reason:
    """Both parts, unless one is empty, or holds marks that would cut it again when it is read."""
    parts = Parts(thinking.strip(), response.strip())
    forbidden = [*MARKS[0][:2], *([] if marks.words else marks[:2])]
    if any(mark in text for mark in forbidden for text in parts):
        return Reason(DropReason.BROKEN_TAGS, "thinking tags inside the thinking or the response")
    if not parts.thinking:
        return Reason(DropReason.EMPTY_TEXT, "no reasoning before the answer")
    if not parts.response:
        return Reason(DropReason.NO_FINAL_ANSWER, "nothing after the thinking")
    return parts
