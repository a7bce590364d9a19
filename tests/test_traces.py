"""Thinking and response, from texts as models wrote them."""

from __future__ import annotations

import gzip
import json
from collections import Counter

import pytest

from tests.conftest import shared
from transforms.traces import Parts, Unparsable, split_thinking
from transforms.types import DropReason


@pytest.mark.parametrize(
    ("raw", "thinking", "response"),
    [
        ("<think>\na = 5\n</think>\n\nIt is 5.", "a = 5", "It is 5."),
        ("a = 5\n</think>\nIt is 5.", "a = 5", "It is 5."),
        (
            "Add: 2 + 3 = 5.\n\nSo, the final answer is \\boxed{5}.",
            "Add: 2 + 3 = 5.",
            "So, the final answer is \\boxed{5}.",
        ),
        ("Add.\nThe answer is \\boxed{5}", "Add.", "The answer is \\boxed{5}"),
        ("Now we combine:\n\n\\[\n\\boxed{448}\n\\]", "Now we combine:", "\\[\n\\boxed{448}\n\\]"),
        ("We add 2 and 3. Therefore it is \\boxed{5}.", "We add 2 and 3.", "Therefore it is \\boxed{5}."),
        ("2 + 3 = 5.\n\nThe final answer is 5.\n", "2 + 3 = 5.", "The final answer is 5."),
        ("First \\boxed{4}?\n\nNo: \\boxed{5}", "First \\boxed{4}?", "No: \\boxed{5}"),
        (
            "It is \\boxed{5}.\n\nNote that this is odd.\n\n\\boxed{5}",
            "It is \\boxed{5}.\n\nNote that this is odd.",
            "\\boxed{5}",
        ),
    ],
)
def test_auto(raw: str, thinking: str, response: str) -> None:
    assert split_thinking(raw) == Parts(thinking, response)


@pytest.mark.parametrize(
    ("raw", "mode", "reason"),
    [
        ("I cannot say.", "auto", DropReason.NO_FINAL_ANSWER),
        ("a = 5, so \\boxed{5", "auto", DropReason.NO_FINAL_ANSWER),
        ("\\boxed{5}", "auto", DropReason.EMPTY_TEXT),
        ("<think></think>5", "auto", DropReason.EMPTY_TEXT),
        ("thinking without an end", "tags", DropReason.NO_FINAL_ANSWER),
        ("a</think>  ", "auto", DropReason.NO_FINAL_ANSWER),
        ("Sure! <think>a</think> 5", "auto", DropReason.BROKEN_TAGS),
        ("<think>a</think> 5 </think> 6", "auto", DropReason.BROKEN_TAGS),
        ("<think>a</think>\n\nSo \\boxed{5}", "before_answer", DropReason.BROKEN_TAGS),
    ],
)
def test_what_cannot_be_parsed_says_why(raw: str, mode: str, reason: DropReason) -> None:
    found = split_thinking(raw, mode)  # type: ignore[arg-type]
    assert isinstance(found, Unparsable)
    assert found.reason == reason


def test_real_traces_with_tags_are_told_apart() -> None:
    counts: Counter[bool] = Counter()
    with gzip.open(shared("traces/gsm8k_deepseek-r1.jsonl.gz"), "rt", encoding="utf-8") as lines:
        for line in lines:
            raw = json.loads(line)["response"]
            parts = split_thinking(raw)
            counts[isinstance(parts, Parts)] += 1
            if isinstance(parts, Parts) and "</think>" in raw:
                assert parts.thinking in raw.partition("</think>")[0]
                assert parts.response in raw.partition("</think>")[2]
    assert counts[True] / counts.total() > 0.95
