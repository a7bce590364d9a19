"""What stages stored of the same traces comes together by id, and nothing else does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import changed, rechecked, segmented
from transforms.core import schema
from transforms.core.errors import InputError
from transforms.core.records import Decision, Kept, Pruned, Rechecked, SegmentedTrace, TraceScores
from transforms.shards.joins import beside, chosen, proposed, versions
from transforms.storage.parts import to_parquet

WHOLE = (Decision(0, "keep", "-", 0.0),)  # no NaN, so that equal rows are equal
THREE = [rechecked(f"p/{n}", num_checks=n, decisions=WHOLE, completion_rate=0.5) for n in range(3)]


def part(folder: Path, name: str, record: type, rows: list[Any]) -> str:
    path = folder / f"{name}.parquet"
    path.write_bytes(to_parquet(schema.to_table(record, rows)))
    return str(path)


def parts(folder: Path, traces: list[Any], pruned: list[Any], found: list[Any]) -> tuple[str, str, str]:
    return (
        part(folder, "steps", SegmentedTrace, [one.trace for one in traces]),
        part(folder, "pruned", Pruned, [one.pruned for one in pruned]),
        part(folder, "rechecked", Rechecked, [one.rechecked for one in found]),
    )


@given(st.lists(st.integers(0, 2), max_size=3, unique=True), st.integers(0, 2), st.randoms())
def test_each_row_meets_its_own_whatever_was_dropped_and_however_they_stand(
    tmp_path_factory: pytest.TempPathFactory, left: list[int], num_lost: int, lots: Any
) -> None:
    pruned = [THREE[number] for number in left]
    found = pruned[num_lost:]
    steps, decided, checked = parts(
        tmp_path_factory.mktemp("parts"), lots.sample(THREE, 3), pruned, lots.sample(found, len(found))
    )
    assert [(one.trace, one.pruned) for one in proposed(steps, decided)] == [(one.trace, one.pruned) for one in pruned]
    assert sorted(versions(steps, [decided, checked]), key=lambda one: one.id) == sorted(found, key=lambda one: one.id)


def test_parts_of_different_runs_are_refused(tmp_path: Path) -> None:
    steps, pruned, checked = parts(tmp_path, THREE[:2], THREE, THREE)
    with pytest.raises(
        InputError, match=r"pruned.parquet has p/2 and .*steps.parquet has not: they belong to different runs"
    ):
        list(proposed(steps, pruned))
    steps, pruned, checked = parts(tmp_path, THREE, THREE[:2], THREE)
    with pytest.raises(InputError, match=r"rechecked.parquet has p/2 and .*pruned.parquet has not"):
        list(versions(steps, [pruned, checked]))
    steps, pruned, checked = parts(tmp_path, THREE, [*THREE, THREE[0]], THREE)
    with pytest.raises(InputError, match=r"has p/0 twice"):
        list(proposed(steps, pruned))
    scores = part(tmp_path, "scores", TraceScores, [TraceScores("q/0", "s", (), "none", 0.0, 0, 0)])
    with pytest.raises(InputError, match=r"scores.parquet has q/0 and"):
        list(beside([SegmentedTrace, TraceScores], [steps, scores]))


def test_what_was_chosen_finds_its_version(tmp_path: Path) -> None:
    steps, pruned, checked = parts(tmp_path, THREE, THREE, THREE)
    rows = [Kept("p/2", "keep_all", 1, 2, "given", 0.0)]
    assert list(chosen(part(tmp_path, "kept", Kept, rows), steps, [pruned, checked])) == [(THREE[2], rows[0])]
    other = part(tmp_path, "kept", Kept, [Kept("p/2", "asap", 1, 2, "given", 0.0)])
    with pytest.raises(InputError, match=r"kept.parquet has p/2 of asap, and none of"):
        list(chosen(other, steps, [pruned, checked]))


def test_a_version_is_what_stays_of_the_thinking() -> None:
    trace = segmented("A.\n\nB.\n\nC.", id="p/0")
    decisions = tuple(Decision(step, action, "-") for step, action in enumerate(("keep", "delete", "delete")))
    made = changed(rechecked("p/0"), **vars(trace), decisions=decisions, given_back=(2,))
    assert (made.proposed, made.final, made.thinking_with((1,))) == ("A.\n\n", "A.\n\nC.", "A.\n\nB.\n\n")
