"""Roles of steps: beside the labels given by hand, and what each rule is for."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import segmented
from tests.conftest import REPO, shared
from transforms.core.records import SegmentedTrace, Trace
from transforms.segment import Config, segment
from transforms.steps.roles import ROLES, roles
from transforms.text.discourse import CUES

QUESTION = (
    "Natalia sold clips to 48 of her friends in April, and then half as many in May. How many did she sell in all?"
)


def test_agreement_with_labels_given_by_reading() -> None:
    """471 steps of three models; those that two wordings label alike are `test_clear`. The rules were written on `dev`."""
    shared("traces/gsm8k_deepseek-r1.jsonl.gz")
    done = subprocess.run([sys.executable, "bench/roles.py"], cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["test"]["steps"] >= 450
    assert found["test_clear"]["steps"] >= 400
    assert found["dev"]["steps"] >= 3000
    assert found["test"]["macro_f1"] >= 0.75
    assert set(found["test"]["f1"]) == set(ROLES)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (["Okay, so I need to find how many clips Natalia sold in all.", "She sold 48 in April."], ["setup", "setup"]),
        (["In May she sold 48 / 2 = 24.", "So 48 + 24 = 72."], ["derive", "derive"]),
        (["48 + 24 = 72.", "Let me check: half of 48 is 24, and 48 + 24 is 72."], ["derive", "verify"]),
        (["48 + 24 = 72.", "Hmm, maybe the wording is a bit ambiguous."], ["derive", "reflect"]),
        (["48 + 24 = 72.", "Alternatively, I could take 48 times 1.5."], ["derive", "branch"]),
        (["48 + 24 = 70.", "Wait, no, that's wrong."], ["derive", "backtrack"]),
        (["48 + 24 = 72.", "So, in total, she sold 72 clips."], ["derive", "conclude"]),
        (["48 + 24 = 72.", "**Final Answer**\n\\boxed{72}"], ["derive", "answer"]),
        (["48 + 24 = 72.", "Natalia sold \\boxed{72} clips."], ["derive", "answer"]),
        (["48 + 24 = 72.", "Let’s double-check that."], ["derive", "verify"]),
        (["48 / 3 = 16.", "16 + 7 = 23.", "9 * 9 = 81.", "Again 48 / 3 is 16."], ["derive"] * 3 + ["verify"]),
        (["48 / 3 = 16.", "Then 16 * 3 = 48."], ["derive", "derive"]),
        (["2x = 48", "2x = 48 ⇒ 48 = 2x"], ["setup", "derive"]),
        (["She sold 48 in April.", "x < 4"], ["setup", "derive"]),
        (["48 + 24 = 72.", "That seems right."], ["derive", "verify"]),
        (["48 + 24 = 72.", "So, yes, 72 clips."], ["derive", "conclude"]),
        (["48 + 24 = 72.", "So that is the same result."], ["derive", "verify"]),
        (["48 + 24 = 72.", "Alternatively, maybe the answer is 48."], ["derive", "branch"]),
        (["48 + 24 = 72.", "Wait, hold on."], ["derive", "reflect"]),
        (["48 + 24 = 72.", "Wait, then 48 friends bought more?"], ["derive", "reflect"]),
        (["48 + 24 = 72.", "The problem says that she sold half as many clips in May."], ["derive", "setup"]),
        (["Hmm, let me break it down."], ["setup"]),
    ],
)
def test_roles(steps: list[str], expected: list[str]) -> None:
    assert roles(steps, QUESTION, "72") == expected


@given(st.lists(st.text(max_size=60), max_size=5), st.text(max_size=40))
def test_any_text_has_a_role(texts: list[str], question: str) -> None:
    found = roles(texts, question, "")
    assert len(found) == len(texts)
    assert set(found) <= set(ROLES)
    assert roles(texts, question, "") == found


def test_the_cues_are_what_the_file_says_they_may_be() -> None:
    cues = tomllib.loads(CUES.read_text(encoding="utf-8"))
    assert set(cues) <= {*ROLES, "wording", "turns", "numbered", "abbreviated", "fillers"}
    for name, listed in cues.items():
        places = listed if isinstance(listed, dict) else {"holds": listed}
        assert set(places) <= {"opens", "holds"}, name
        for cue in (cue for place in places.values() for cue in place):
            assert cue == cue.lower() == " ".join(cue.split())


def test_segment_gives_steps_their_roles_unless_told_not_to() -> None:
    given = segmented("She sold 48.\n\nSo 48 + 24 = 72.", "It is \\boxed{72}.")
    trace = Trace("t", given.problem, 0, "m", "q", "", given.thinking, given.response, "stop", 1, 1)
    (found,) = segment(trace, Config())
    assert isinstance(found, SegmentedTrace)
    assert [step.role for step in found.steps] == ["setup", "derive"]
    (plain,) = segment(trace, Config(roles=False))
    assert isinstance(plain, SegmentedTrace)
    assert [step.role for step in plain.steps] == ["", ""]
