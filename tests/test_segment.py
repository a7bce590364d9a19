"""Steps tile any text, and constructs stay whole."""

from __future__ import annotations

import gzip
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import SHARED_DATA, segmented, shared
from transforms.segment import Config, construct_start, segment, split_steps
from transforms.types import Drop, DropReason, Problem, Trace

PIECES = st.sampled_from(
    [
        "a",
        " ",
        "\n",
        "\n\n",
        "\r\n",
        "```",
        "```py\n",
        "~~~",
        "$$",
        "\\[",
        "\\]",
        "\\\\[2pt]",
        "\\begin{align}",
        "\\end{align}",
        "é\u0301",
        "👩‍👧",
        "| a |",
        "- item",
        "\u2028",
        "\x0b",
    ]
)


@given(st.one_of(st.text(), st.lists(PIECES).map("".join)))
def test_steps_tile_any_text_and_none_is_blank(text: str) -> None:
    steps = split_steps(text)
    assert "".join(text[step.start : step.end] for step in steps) == text
    assert all(step.start < step.end for step in steps)
    if text.strip():
        assert all(text[step.start : step.end].strip() for step in steps)


@pytest.mark.parametrize("file", sorted(path.name for path in (SHARED_DATA / "traces").glob("*.gz")) or ["missing"])
def test_steps_tile_real_traces(file: str) -> None:
    with gzip.open(shared(f"traces/{file}"), "rt", encoding="utf-8") as lines:
        for line in lines:
            text = json.loads(line)["response"]
            steps = split_steps(text)
            assert "".join(text[step.start : step.end] for step in steps) == text
            assert all(text[step.start : step.end].strip() for step in steps)


def texts(text: str) -> list[str]:
    return [text[step.start : step.end] for step in split_steps(text)]


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("", []),
        ("  \n ", ["  \n "]),
        ("\n\na\n\nb", ["\n\na\n\n", "b"]),
        ("a\n\n\n\nb\n", ["a\n\n\n\n", "b\n"]),
        ("a\nb\n\nc", ["a\nb\n\n", "c"]),
        ("```\nx\n\ny\n```\n\nb", ["```\nx\n\ny\n```\n\n", "b"]),
        ("1. ```py\nx\n\ny\n```\n\nb", ["1. ```py\nx\n\ny\n```\n\n", "b"]),
        ("````\n```\n\n````\n\nb", ["````\n```\n\n````\n\n", "b"]),
        ("```\nnever\n\nclosed", ["```\nnever\n\nclosed"]),
        ("\\[\nx\n\ny\n\\]\n\nb", ["\\[\nx\n\ny\n\\]\n\n", "b"]),
        ("$$x\n\ny$$\n\nb", ["$$x\n\ny$$\n\n", "b"]),
        (
            "\\begin{align}\nx \\\\[2pt]\n\ny\n\\end{align}\n\nb",
            ["\\begin{align}\nx \\\\[2pt]\n\ny\n\\end{align}\n\n", "b"],
        ),
        (
            "\\begin{a}\\begin{a}\n\n\\end{a}\n\n\\end{a}\n\nb",
            ["\\begin{a}\\begin{a}\n\n\\end{a}\n\n\\end{a}\n\n", "b"],
        ),
        ("a \\] b\n\nc", ["a \\] b\n\n", "c"]),
        ("a\r\n\r\nb", ["a\r\n\r\n", "b"]),
    ],
)
def test_where_steps_are_cut(text: str, steps: list[str]) -> None:
    assert texts(text) == steps


def test_kinds() -> None:
    text = "a\n\n```\nx\n```\n\n\\[\n1\n\\]\n\n- item\n\n| a |\n"
    assert [step.kind for step in split_steps(text)] == ["prose", "code", "display_math", "list", "table"]


@pytest.mark.parametrize(
    "text",
    [
        "x" * 1_000_000,
        "\n" * 100_000,
        "```\n" * 50_000,
        "$$" * 200_000,
        "\\begin{a}" * 50_000,
        "-  " * 300_000 + "x",
        "1.  " * 200_000 + "x",
    ],
)
def test_no_input_takes_more_than_linear_time(text: str) -> None:
    started = time.monotonic()
    split_steps(text)
    assert time.monotonic() - started < 5  # a quadratic pass over these takes minutes


def test_construct_start() -> None:
    text = "a\n\\[\nx = \\boxed{1}\n\\]\nb \\boxed{2}"
    assert text[construct_start(text, text.index("\\boxed{1}")) :].startswith("\\[")
    assert text[construct_start(text, text.index("\\boxed{2}")) :].startswith("b ")


def test_a_trace_without_thinking_is_a_drop() -> None:
    given = segmented("a\n\nb")
    blank = Trace("t", Problem("p", "s", "f", "q", "a", "math", ""), 0, "m", "q", " x", " \n", "x", "stop", 1, 1)
    (drop,) = segment(blank, Config())
    assert isinstance(drop, Drop)
    assert drop.reason == DropReason.EMPTY_TEXT
    assert len(given.steps) == 2
