"""A trace as the terminal shows it."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipeline.commands.show import WIDE, clean, page
from tests.builders import changed, problem, rechecked
from tests.conftest import STAGES
from transforms.core.records import Arithmetic, Decision, Edge, Step, StepScore, TraceScores
from transforms.steps.versions import Version

Run = Callable[..., Any]
TEXT = "Begin.\n\nHm, well.\n\nAdd 2 to 3.\n\nIt gives 5.\n\nGood."


def pruned(**more: Any) -> dict[str, Any]:
    places = [0, *(found.end() for found in re.finditer(r"\n\n", TEXT)), len(TEXT)]
    steps = tuple(Step(start, end, "prose", "derive") for start, end in itertools.pairwise(places))
    decisions = (
        Decision(0, "keep", "the first step"),
        Decision(1, "delete", "it comments", 0.25),
        Decision(2, "rewrite", "compress", 1.5, "2 + 3 = 5.\n\n"),
        Decision(3, "merge", "merge: into step 2"),
        Decision(4, "delete", "it repeats", 2.0),
    )
    return {"thinking": TEXT, "steps": steps, "decisions": decisions, "method": "drp", "method_version": "1"} | more


def printed(version: Version, scores: TraceScores | None = None, width: int = 160) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=True, color_system="standard")
    console.print(page(version, scores, is_wide=width >= WIDE))
    return file.getvalue()


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


STRUCK = re.compile(r"\x1b\[[0-9;]*9m([^\x1b]*)")


def test_removed_steps_are_struck_out_and_rewritten_ones_shown() -> None:
    trace = rechecked("p/0", "rolled_back", given_back=(4,), reason="the answer became too unlikely", **pruned())
    scores = TraceScores("p/0", "s", tuple(StepScore(n + 0.125, n, n, n, n, 3) for n in range(5)), "exact", -1.0, 1, 15)
    text = printed(trace, scores)
    assert [struck.strip() for struck in STRUCK.findall(text)] == ["Hm, well.", "Add 2 to 3.", "It gives 5."]
    lines = plain(text).splitlines()
    assert any("→ 2 + 3 = 5." in line for line in lines)
    (deleted,) = (line for line in lines if "Hm, well." in line)
    assert deleted.split()[:6] == ["−", "1", "derive", "1.12", "1.00", "0.25"]
    (back,) = (line for line in lines if "Good." in line)
    assert back.split()[0] == "+"
    assert "given back; it repeats" in back
    assert "re-check: rolled_back, as the answer became too unlikely" in plain(text)
    assert "tokens: 9, pruned 9, in the end 9" in plain(text)
    assert "does not support" not in plain(text)
    assert "the original does not support its answer" in plain(printed(changed(trace, supported=False), scores))
    assert "score: by what drp ranks" in plain(text)


@pytest.mark.parametrize("width", [80, 400])
def test_model_text_cannot_rewrite_the_terminal(width: int) -> None:
    hostile = "\x1b[2J\x1b]0;title\x07[red]x[/red]\r\u202e"
    trace = rechecked(
        "p/0", "passed", response=hostile, problem=problem(question=hostile), **pruned(method_version=hostile)
    )
    first, second, third, *others = trace.pruned.decisions
    decisions = (
        replace(first, reason=f"[i]why[/i]{hostile}"),
        second,
        replace(third, text=f"[b]rewritten[/b]{hostile}"),
        *others,
    )
    thinking = f"[b]step[/b]{hostile}"
    steps = (Step(0, len(thinking), "prose", "derive"), *trace.trace.steps[1:])
    trace = changed(trace, thinking=thinking + TEXT[len(thinking) :], steps=steps, decisions=decisions)
    text = printed(trace, width=width)
    assert "[b]step[/b]" in plain(text).replace("\n", "")
    assert "[b]rewritten[/b]" in plain(text)
    assert "[i]why[/i]" in plain(text).replace("\n", "")
    assert "\x1b[2J" not in text
    assert "\x1b]" not in text
    assert "\r" not in text
    assert "\u202e" not in text
    assert "[red]x[/red]" in text
    assert clean("a\tb\nc") == "a\tb\nc"
    assert clean("a\r\nb\rc") == "a\nb�c"


def test_a_narrow_terminal_says_why_steps_of_their_own_reason_stay() -> None:
    values = pruned()
    second = replace(values["decisions"][1], action="keep", reason="has the final answer")
    third = replace(
        values["decisions"][2], action="keep", reason="compress: kept, as the rewrite is without 4", text=""
    )
    fourth = replace(values["decisions"][3], action="keep", reason="within the budget")
    values["decisions"] = (values["decisions"][0], second, third, fourth, values["decisions"][4])
    text = plain(printed(rechecked("p/0", "passed", **values), width=80))
    assert all(why in text for why in ("the first step", "has the final answer", "without 4"))
    assert text.count("(within the budget)") == 1
    every = replace(values["decisions"][0], reason="within the budget")
    values["decisions"] = tuple(replace(every, step=n) for n in range(5))
    assert plain(printed(rechecked("p/0", "passed", **values), width=80)).count("within the budget") == 1
    assert plain(printed(rechecked("p/0", "passed", **values), width=160)).count("within the budget") == 5


def test_a_narrow_terminal_says_a_reason_again_where_another_came_between() -> None:
    values = pruned()
    every = values["decisions"][0]
    reasons = ("keep (so)", "keep (so)", "delete (so)", "keep (so)", "keep (so)")
    values["decisions"] = tuple(replace(every, step=n, reason=reason) for n, reason in enumerate(reasons))
    text = plain(printed(rechecked("p/0", "passed", **values), width=80))
    assert text.count("keep (so)") == 2
    assert "a step without a reason has that of the one before" in " ".join(text.split())


def test_show(pipeline: Run, tmp_path: Path) -> None:
    for stage in STAGES[: STAGES.index("recheck")]:
        assert pipeline(stage).returncode == 0
    early = pipeline("show", "chain_sum-000000/0", "--method", "first_correct")
    assert early.returncode == 0
    assert "not re-checked yet" in early.stdout
    for stage in ("recheck", "filter"):
        pipeline(stage)
    done = pipeline("show", "chain_sum-000000/0", "--method", "first_correct")
    assert "re-check: " in done.stdout
    assert "Start with" in done.stdout
    chosen = pipeline("show", "chain_sum-000000/0")
    assert chosen.returncode == 0
    assert "the version that filter kept" in chosen.stdout
    assert "filter kept that of" in pipeline("show", "chain_sum-000000/0", "--method", "keep_all").stdout
    pipeline("filter", "--set", "filter.num_examples=1")
    none = [
        shown
        for n in (1, 2, 0)
        for shown in [" ".join(pipeline("show", f"chain_sum-00000{n}/0").stdout.split())]
        if "kept no" in shown
    ]
    assert any("filter kept no version of it: " in shown and "num_examples" in shown for shown in none), none
    pipeline("prune", "--method", "first_correct", "--set", "prune.options.first_correct={keep_conclusion: true}")
    again = pipeline("show", "chain_sum-000000/0", "--method", "first_correct").stdout
    assert "not re-checked yet, or not since" in again
    assert "filter kept" not in again
    assert "first_correct gives no scores" in " ".join(again.split())
    near = pipeline("show", "chain_sum-000000")
    assert (near.returncode, "it has for example chain_sum-000000/0" in near.stderr) == (1, True)
    for stage in ("segment", "score"):
        pipeline(stage, "--set", "segment.unit=sentence")  # prune is of the steps before
    assert pipeline("show", "chain_sum-000000/0", "--method", "first_correct").returncode == 0
    dropped = pipeline("show", "gsm_symbolic-000000/0")
    assert (dropped.returncode, "was dropped in" in dropped.stderr, "no_final_answer" in dropped.stderr) == (
        1,
        True,
        True,
    )
    unknown = pipeline("show", "chain_sum-000000/9")
    assert unknown.returncode == 1
    assert "it has for example chain_sum-000000/" in unknown.stderr
    assert pipeline("show", "chain_sum-000000/0", "--method", "asap").returncode == 1
    wrong = pipeline("show", "x", "--method", "apas")
    assert (wrong.returncode, "no such method" in wrong.stderr) == (2, True)


@pytest.mark.parametrize("width", [40, 80])
def test_narrow_terminals_wrap(width: int) -> None:
    text = plain(printed(rechecked("p/0", "passed", **pruned()), width=width))
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert all(said in text for said in ("well.", "comments", "= 5.", "gives"))


def test_what_dangled_stands_at_both_ends_of_the_edge_and_in_the_head() -> None:
    edges = (Edge(4, "value", "12", 1), Edge(3, "name", "x", 1))
    trace = rechecked(
        "p/0",
        "mended",
        given_back=(1,),
        mended=(1,),
        dangling=edges,
        arithmetic=Arithmetic(num_false=1, false_equations=("1 + 1 = 3",)),
        **pruned(),
    )
    text = " ".join(plain(printed(trace, width=400)).split())
    assert "given back for 12 in step 4, x in step 3; " in text
    assert "uses 12 of step 1" in text
    assert "as pruned it used what removed steps say: 12 in step 4, x in step 3" in text
    assert "it computes something false: 1 + 1 = 3" in text
    many = changed(trace, dangling=tuple(Edge(4, "value", str(n), 1) for n in range(5)))
    assert "0 in step 4, 1 in step 4, 2 in step 4 …" in " ".join(plain(printed(many, width=400)).split())
