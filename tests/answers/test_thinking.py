"""Thinking and response, from texts as models wrote them."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import REPO, shared
from transforms.answers.thinking import Parts, split_thinking
from transforms.core.drops import DropReason, Reason


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
    assert isinstance(found, Reason)
    assert found.reason == reason


# One of each family, in the shape of its chat template or of the parser that its servers use (docs/generate.md).
SHAPES = {
    "DeepSeek-R1": "2 + 3 = 5\n</think>\n\nIt is 5.<｜end▁of▁sentence｜>",
    "Qwen3": "<think>\n2 + 3 = 5\n</think>\n\nIt is 5.<|im_end|>\n<|endoftext|>",
    "MiniMax M3": "<mm:think>2 + 3 = 5</mm:think>It is 5.",
    "Hunyuan": "<think>\n2 + 3 = 5\n</think>\n<answer>\nIt is 5.\n</answer>",
    "R1-zero": "2 + 3 = 5</think> <answer>It is 5.</answer>",
    "ERNIE": "2 + 3 = 5\n</think>\n\n<response>\nIt is 5.\n</response>\n",
    "OpenThoughts": "<|begin_of_thought|>\n\n2 + 3 = 5\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\nIt is 5.\n\n<|end_of_solution|>",
    "OpenThoughts, its end left out": "<|begin_of_thought|>2 + 3 = 5<|end_of_thought|>\n\n<|begin_of_solution|>It is 5.",
    "Magistral": "[THINK]2 + 3 = 5[/THINK]It is 5.</s>",
    "Seed-OSS": "<seed:think>\n2 + 3 = 5\n</seed:think>\nIt is 5.<seed:eos>",
    "Kimi-VL": "◁think▷2 + 3 = 5◁/think▷It is 5.",
    "Kimi K3": "<|open|>think<|sep|>2 + 3 = 5<|close|>think<|sep|><|open|>response<|sep|>It is 5.<|close|>response<|sep|>",
    "Cohere": "<|START_THINKING|>2 + 3 = 5<|END_THINKING|><|START_RESPONSE|>It is 5.<|END_RESPONSE|><|END_OF_TURN_TOKEN|>",
    "Cohere, opened by the prompt": "2 + 3 = 5<|END_THINKING|><|START_TEXT|>It is 5.<|END_TEXT|>",
    "Gemma": "<|channel>thought\n2 + 3 = 5<channel|>It is 5.<turn|>",
    "gpt-oss": "<|channel|>analysis<|message|>2 + 3 = 5<|end|><|start|>assistant<|channel|>final<|message|>It is 5.<|return|>",
    "s1": "<|im_start|>think\n2 + 3 = 5\n<|im_start|>answer\nIt is 5.<|im_end|>",
    "s1, without special tokens": "think\n2 + 3 = 5\nanswer\nIt is 5.",
    "Granite": "Here is my thought process: 2 + 3 = 5 Here is my response: It is 5.",
    "tags of other names": "<reasoning>2 + 3 = 5</reasoning><answer>It is 5.</answer>",
}


@pytest.mark.parametrize("family", SHAPES)
@pytest.mark.parametrize("mode", ["auto", "tags"])
def test_the_shapes_of_many_families(family: str, mode: str) -> None:
    assert split_thinking(SHAPES[family], mode) == Parts("2 + 3 = 5", "It is 5.")  # type: ignore[arg-type]


def test_several_messages_of_analysis_are_one_thinking() -> None:
    raw = "<|channel|>analysis<|message|>2 + 3<|end|><|start|>assistant<|channel|>analysis<|message|>= 5<|end|><|start|>assistant<|channel|>final<|message|>5"
    assert split_thinking(raw) == Parts("2 + 3\n\n= 5", "5")


def test_what_a_server_gives_beside_the_text_is_the_thinking() -> None:
    assert split_thinking("It is 5.<|im_end|>", "auto", "math", "2 + 3 = 5\n") == Parts("2 + 3 = 5", "It is 5.")
    assert split_thinking("It is 5.", "field", "math", "2 + 3 = 5") == Parts("2 + 3 = 5", "It is 5.")
    for raw, reasoning, reason in (
        ("It is 5.", " ", "empty_text"),
        ("", "2 + 3", "no_final_answer"),
        ("5</think>", "a", "broken_tags"),
    ):
        found = split_thinking(raw, "field", "math", reasoning)
        assert isinstance(found, Reason)
        assert found.reason == reason


def test_where_thinking_was_off_the_text_is_read_as_without_marks() -> None:
    assert split_thinking("<think>\n\n</think>\n\n2 + 3 = 5.\n\nSo \\boxed{5}") == Parts("2 + 3 = 5.", "So \\boxed{5}")


@pytest.mark.parametrize(
    "raw",
    [
        "<think>\n2 + 3 = 5, and",
        "think\n2 + 3 = 5, and",
        "<|channel|>analysis<|message|>2 + 3",
        "<|begin_of_thought|>2 + 3 = \\boxed{5}",
        "[THINK]So \\boxed{5}",
    ],
)
def test_thinking_that_never_ended_has_no_answer(raw: str) -> None:
    found = split_thinking(raw)
    assert isinstance(found, Reason)
    assert found.reason == DropReason.NO_FINAL_ANSWER


def test_plain_words_are_no_marks_in_the_middle_of_a_text() -> None:
    raw = "We sum.\n\nHere is my response: it grows.\nanswer\n\nSo \\boxed{5}."
    assert split_thinking(raw) == Parts("We sum.\n\nHere is my response: it grows.\nanswer", "So \\boxed{5}.")


GOLDEN = [json.loads(line) for line in (REPO / "tests" / "golden" / "thinking.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"{case['family']} {case.get('row', '')}".strip())
def test_golden_real_responses(case: dict[str, Any]) -> None:
    """Real responses of seven families; where each is cut was checked by eye."""
    raw = case.get("raw") or real_response(case["file"], case["row"])
    parts = split_thinking(raw)
    if "reason" in case:
        assert isinstance(parts, Reason)
        assert parts.reason == case["reason"]
        return
    assert isinstance(parts, Parts)
    assert parts.thinking.endswith(case["thinking_ends"])
    assert parts.response.startswith(case["response_begins"])
    assert (len(parts.thinking), len(parts.response)) == (case["thinking_chars"], case["response_chars"])
    assert parts.thinking in raw
    assert parts.response in raw


def real_response(file: str, row: int) -> str:
    with gzip.open(shared(file), "rt", encoding="utf-8") as lines:
        return json.loads(next(islice(lines, row, None)))["response"]


@given(
    st.lists(
        st.sampled_from(
            [
                *"a5 \n",
                "<think>",
                "</think>",
                "\\boxed{5}",
                "think\n",
                "\nanswer\n",
                "<|channel|>final<|message|>",
                "<answer>",
                "</s>",
            ]
        ),
        max_size=12,
    ).map("".join)
)
def test_any_text_has_two_clean_parts_or_a_reason(raw: str) -> None:
    for mode in ("auto", "tags", "before_answer"):
        parts = split_thinking(raw, mode)  # type: ignore[arg-type]
        if isinstance(parts, Parts):
            assert parts.thinking
            assert parts.response
            assert parts == (parts.thinking.strip(), parts.response.strip())
            assert "</think>" not in parts.thinking + parts.response


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


@pytest.mark.parametrize(
    "raw",
    [
        "We call `split('</reasoning>')` on it.\n\nSo \\boxed{5}.",
        "It prints <|channel|>final<|message|>7 here.\n\nSo \\boxed{5}.",
        "The tag `</thought>` ends it.\n\nSo \\boxed{5}.",
    ],
)
def test_marks_in_quoted_text_are_text(raw: str) -> None:
    assert split_thinking(raw) == Parts(raw.partition("\n\n")[0], "So \\boxed{5}.")


def test_a_wrapper_is_taken_off_whole_or_not_at_all() -> None:
    raw = "<think>a</think><answer>\\boxed{5}</answer>\n\nHope this helps!"
    assert split_thinking(raw) == Parts("a", "<answer>\\boxed{5}</answer>\n\nHope this helps!")
