"""Steps tile any text, and constructs stay whole."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import segmented
from tests.conftest import SHARED_DATA, shared, token_scores
from transforms.core.drops import Drop, DropReason
from transforms.core.records import Problem, SegmentedTrace, Step, Trace, asked
from transforms.inference.requests import TokenScores
from transforms.segment import Config, segment
from transforms.steps.roles import roles
from transforms.steps.splitting import split_at_doubt, split_steps
from transforms.text.constructs import construct_start, outside, whole

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
        "So. It",
        "Wait, ",
        "1. ",
        "\\(",
        "\\)",
        "\u0301",
        "---|---\n",
        "\x0b",
        "🇩🇪",
        "\ufe0f\u200d",
        "> ",
        "> A | B\n> ---|---\n",
        "\\$",
        "$x$",
        "`",
        "5! ",
        "“",
    ]
)


ANY_TEXT = st.one_of(st.text(), st.text(st.characters()), st.lists(PIECES).map("".join))
UNITS = ("paragraph", "sentence", "cue")


def assert_lossless(text: str, steps: tuple[Step, ...]) -> None:
    """The steps are the text, none is blank, and none cuts what must stay whole."""
    assert "".join(text[step.start : step.end] for step in steps) == text
    assert all(step.start < step.end for step in steps)
    if text.strip():
        assert all(text[step.start : step.end].strip() for step in steps)
    cuts = [step.start for step in steps[1:]]
    assert list(outside(cuts, whole(text))) == cuts
    assert not set(cuts) & {place for start, end in graphemes(text) for place in range(start + 1, end)}


def graphemes(text: str) -> Iterator[tuple[int, int]]:
    for found in regex.finditer(r"\X", text):
        yield found.span()


@pytest.mark.parametrize("unit", UNITS)
@given(text=ANY_TEXT)
def test_steps_tile_any_text_and_none_is_blank(unit: Any, text: str) -> None:
    assert_lossless(text, split_steps(text, unit))
    assert split_steps(text, unit) == split_steps(text, unit)


@given(ANY_TEXT, st.integers(1, 4), st.floats(0.01, 0.99))
def test_steps_at_doubt_tile_any_text(text: str, width: int, quantile: float) -> None:
    assert_lossless(text, split_at_doubt(text, token_scores(text, width), quantile))


@given(ANY_TEXT)
def test_spans_are_what_a_slow_reading_finds(text: str) -> None:
    """`outside` beside a search over all spans; and a block is never closed before it is opened."""
    spans = whole(text)
    places = range(len(text) + 1)
    slow = [place for place in places if not any(start < place < end for start, end in spans)]
    assert list(outside(places, spans)) == slow
    assert all(0 <= start < end <= len(text) for start, end in spans)


@pytest.mark.parametrize("file", sorted(path.name for path in (SHARED_DATA / "traces").glob("*.gz")) or ["missing"])
def test_steps_tile_real_traces(file: str) -> None:
    """All of them in all units; in one of ten constructs and graphemes are looked for, too."""
    with gzip.open(shared(f"traces/{file}"), "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            text = json.loads(line)["response"]
            for unit in UNITS:
                steps = split_steps(text, unit)  # type: ignore[arg-type]
                assert "".join(texts_of(text, steps)) == text
                assert all(map(str.strip, texts_of(text, steps)))
                if number % 10 == 0:
                    assert_lossless(text, steps)


def texts_of(text: str, steps: tuple[Step, ...]) -> list[str]:
    return [text[step.start : step.end] for step in steps]


def texts(text: str, unit: Any = "paragraph") -> list[str]:
    return texts_of(text, split_steps(text, unit))


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
        ("0\n\n-|-\n", ["0\n\n", "-|-\n"]),
        ("\\begin{eq-2}\nx\n\ny\n\\end{eq-2}\n\nb", ["\\begin{eq-2}\nx\n\ny\n\\end{eq-2}\n\n", "b"]),
        ("```x = 1``` is it.\n\nSo 5.", ["```x = 1``` is it.\n\n", "So 5."]),
        ("```\n- ```\n\nx\n```\n\nb", ["```\n- ```\n\nx\n```\n\n", "b"]),  # no closing fence is in a list
        ("```\n    ```\n\nx\n```\n\nb", ["```\n    ```\n\nx\n```\n\n", "b"]),  # … or four columns deeper
        ("1. ```\nx\n\ny\n   ```\n\nb", ["1. ```\nx\n\ny\n   ```\n\n", "b"]),
        ("\\begin {a}\n1\n\n2\n\\end{a}\n\nb", ["\\begin {a}\n1\n\n2\n\\end{a}\n\n", "b"]),
        ("\\begin{a*}\n1\n\n2\n\\end{a}\n\nb", ["\\begin{a*}\n1\n\n2\n\\end{a}\n\n", "b"]),
        *(
            (f"It is {what}.\n\nb", [f"It is {what}.\n\n", "b"])
            for what in ("$5\\$$", "`$$`", "`\\[`", "$5.4$$10^7 m$")
        ),
        ("At $5 and $$x\n\ny$$\n\nb", ["At $5 and $$x\n\ny$$\n\n", "b"]),
    ],
)
def test_where_steps_are_cut(text: str, steps: list[str]) -> None:
    assert texts(text) == steps


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("It is 3.14. So? Yes... No", ["It is 3.14. ", "So? ", "Yes... ", "No"]),
        (
            "Dr. A has approx. half, e.g. 5.\nNext line\nand on",
            ["Dr. A has approx. half, e.g. 5.\n", "Next line\nand on"],
        ),
        ("First month: 60. So 3 * 60 = 180. Correct.", ["First month: 60. ", "So 3 * 60 = 180. ", "Correct."]),
        ("Step 3. Add them. Done.", ["Step 3. Add them. ", "Done."]),
        ('He said "Stop." Then he left.', ['He said "Stop." ', "Then he left."]),
        ("We get\n\\[\nx = 1. Y\n\\]\nfor it. Good.", ["We get\n\\[\nx = 1. Y\n\\]\nfor it. ", "Good."]),
        ("So $$a. B$$ it is. Yes.", ["So $$a. B$$ it is. ", "Yes."]),
        ("Here \\(a. B\\) is. Yes.", ["Here \\(a. B\\) is. ", "Yes."]),
        ("Code:\n```\na. B\nC\n```\nRun it. Ok.", ["Code:\n", "```\na. B\nC\n```\n", "Run it. ", "Ok."]),
        ("- One. Two\n  more. Three\n- Four", ["- One. Two\n  more. ", "Three\n", "- Four"]),
        (
            "T:\n\nA | B. C\n--- | ---\n1. X | 2. Y\n\nSo. It",
            ["T:\n\n", "A | B. C\n--- | ---\n1. X | 2. Y\n\n", "So. ", "It"],
        ),
        *(
            (f"{marker} Add. Then it works.", [f"{marker} Add. Then it works."])
            for marker in (
                "(1)",
                "(iv)",
                "1.1.",
                "●",
                "[1]",
                "**1.**",
                "> -",
                "1️⃣",
                "①",
                "·",
                "—",
                "#1.",
                "*1.*",
                "__1.__",
                "1\\.",
            )
        ),
        ("> ```py\n> a. B\n> C\n> ```\nOk. Yes", ["> ```py\n> a. B\n> C\n> ```\n", "Ok. ", "Yes"]),
        ("a\ud800. B", ["a\ud800. ", "B"]),
        (
            "He said so. “Stop.” Then (a). **Bold.** Go.",
            ["He said so. ", "“Stop.” ", "Then (a). ", "**Bold.** ", "Go."],
        ),
        (
            "It is 3! = 6. So 4! / (2! * (4-2)!) = 6. Great! Go.",
            ["It is 3! = 6. ", "So 4! / (2! * (4-2)!) = 6. ", "Great! ", "Go."],
        ),
        ("By Eq. 3. So Fig. 2 helps. No. It is 5.", ["By Eq. 3. ", "So Fig. 2 helps. ", "No. ", "It is 5."]),
        ("### **1. Add.** So. Part II. It is.", ["### **1. Add.** ", "So. ", "Part II. It is."]),
        ("> A | B\n> --- | ---\n> c. D | e\nSo.", ["> A | B\n> --- | ---\n> c. D | e\n", "So."]),
        ("| a. B |\n| c. D |\nEnd.", ["| a. B |\n| c. D |\n", "End."]),
        ("Yes. \u0301No way. So", ["Yes. \u0301No way. ", "So"]),
        ("x" * 300 + ". So it is. " + "y" * 300 + ". End", ["x" * 300 + ". So it is. " + "y" * 300 + ". End"]),
    ],
)
def test_where_sentences_end(text: str, steps: list[str]) -> None:
    assert texts(text, "sentence") == steps


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("We add. It is 5. Wait, is it? Yes.\n\nThe sum.", ["We add. It is 5. ", "Wait, is it? ", "Yes.\n\nThe sum."]),
        ("Add. Alternatively, count. One. Two.", ["Add. ", "Alternatively, count. One. Two."]),
        ("A.\n\n**Step 3**: B.\nDone. Let me check: D.", ["A.\n\n", "**Step 3**: B.\nDone. ", "Let me check: D."]),
        ("It’s 5. Let’s see. Therefore it holds.", ["It’s 5. ", "Let’s see. ", "Therefore it holds."]),
        ("Waiting is long. Soda is sweet.", ["Waiting is long. Soda is sweet."]),
    ],
)
def test_where_the_discourse_turns(text: str, steps: list[str]) -> None:
    assert texts(text, "cue") == steps


def test_steps_at_doubt() -> None:
    text = "aa bb cc dd"
    tokens = TokenScores((0, 2, 5, 8), (2, 5, 8, 11), (-9.0, -1.0, -5.0, -0.1), (0.0,) * 4)
    assert [(step.start, step.end) for step in split_at_doubt(text, tokens, 0.34)] == [(0, 5), (5, 11)]
    assert len(split_at_doubt(text, tokens, 0.67)) == 3
    alike = TokenScores((0, 2, 5, 8), (2, 5, 8, 11), (-1.0,) * 4, (0.0,) * 4)
    assert [step.start for step in split_at_doubt(text, alike, 0.34)] == [0, 2]  # of equals the first, and no more
    silent = TokenScores((0,), (11,), (None,), (None,))
    assert [(step.start, step.end) for step in split_at_doubt(text, silent, 0.5)] == [(0, 11)]


def test_kinds() -> None:
    text = "a\n\n```\nx\n```\n\n\\[\n1\n\\]\n\n- item\n\n| a |\n\nA. x | B\n|---|---|\n\n> \n"
    kinds = ["prose", "code", "display_math", "list", "table", "table", "prose"]
    assert [step.kind for step in split_steps(text)] == kinds
    assert [step.kind for step in split_steps("> \n\n```\nx\n```")] == ["prose", "code"]  # of the step, not the next


@pytest.mark.parametrize(
    "text",
    [
        "x" * 1_000_000,
        "\n" * 100_000,
        "```\n" * 20_000,
        "$$" * 200_000,
        "\\begin{a}" * 50_000,
        "-  " * 300_000 + "x",
        "1.  " * 100_000 + "x",
        "\n" * 100_000 + "\\[",
        "\n \n\t" * 50_000 + "x",
        "|-|-|\n" * 100_000,
        "\\(" * 300_000,
        "( " * 300_000 + "\n",
        "(" * 300_000,
        "Mr. " * 50_000,
        "So. " * 30_000,
        "- " * 50_000 + "\n- a" * 20_000,
        "e\u0301" * 200_000,
        "\u0301" * 300_000,
        "https://" * 50_000,
        "a.b" * 100_000,
        "\r\n" * 100_000,
        "🇩" * 100_000,
        "So.\u00a0It\u00a0is\u00a0" * 20_000,
        ">\n\n" * 100_000,
        ">\n" * 100_000,
        ">\r\n" * 100_000,
        "$a" * 200_000,
        "`a" * 200_000,
        "5! " * 50_000,
    ],
    ids=lambda text: repr(text[:12]),
)
@pytest.mark.parametrize("unit", UNITS)
def test_no_input_takes_more_than_linear_time(text: str, unit: Any) -> None:
    split_steps("Load. It", unit)
    started = time.monotonic()
    split_steps(text, unit)
    assert time.monotonic() - started < 20  # a quadratic pass over these takes minutes


def test_construct_start() -> None:
    text = "a\n\\[\nx = \\boxed{1}\n\\]\nb \\boxed{2}"
    assert text[construct_start(text, text.index("\\boxed{1}")) :].startswith("\\[")
    assert text[construct_start(text, text.index("\\boxed{2}")) :].startswith("b ")


def test_threads_do_not_disturb_each_other() -> None:
    """spaCy shares its words between threads, and a thread that is done forgets them."""
    given = [f"Wait, is w{n} + {n} = {2 * n}? So word{n}s give x{n}. Let me check: yes{n}." for n in range(60)]

    def work(text: str) -> tuple[Any, list[str]]:
        return split_steps(text, "sentence"), roles(texts(text, "sentence"), f"What is q{text[:20]}?", "")

    alone = [work(text) for text in given]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            assert list(pool.map(work, given)) == alone


def test_a_trace_without_thinking_is_a_drop() -> None:
    given = segmented("a\n\nb")
    blank = Trace("t", Problem("p", "s", "f", asked("q"), "a", "math", ""), 0, "m", "q", " x", " \n", "x", "stop", 1, 1)
    (drop,) = segment(blank, Config())
    assert isinstance(drop, Drop)
    assert drop.reason == DropReason.EMPTY_TEXT
    assert len(given.steps) == 2


@pytest.mark.parametrize("roles", [True, False])
def test_the_answer_that_the_response_states_is_stored_with_the_steps(roles: bool) -> None:
    problem = Problem("p", "s", "f", asked("q"), "12", "math", "")
    trace = Trace("t", problem, 0, "m", "q", "", "3 × 4.", "It is \\boxed{12}.", "stop", 1, 1)
    (found,) = segment(trace, Config(roles=roles))
    assert isinstance(found, SegmentedTrace)
    assert found.answer == "12"
