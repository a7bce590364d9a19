"""Cases that readers labelled: what they call damage is found, and what they call harmless is left alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from bench import coherence
from bench.coherence import Case, edges, handed_cases, is_leap, own_cases, told


def shares(cases: Iterable[Case]) -> dict[str, float]:
    """Of the cases of each label, how many are flagged."""
    found = list(cases)
    counts = told(found, [is_leap(edges(case)) for case in found])["all"]
    return {label: flagged / total for label, (flagged, total) in counts.items()}


def test_cases_of_our_own_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coherence, "SHARED", Path("nowhere"))
    cases = list(own_cases())
    assert len(cases) == 200
    found = shares(cases)
    assert found["damage"] >= 0.9
    assert found["harmless"] <= 0.1


@pytest.mark.skipif(not (coherence.SHARED / "cases").exists(), reason="SHARED_DATA is not there")
def test_cases_of_real_traces() -> None:
    found = shares(handed_cases())
    assert found["damage"] >= 0.9
    assert found["masked"] >= 0.5
    assert found["harmless"] <= 0.16  # four of eight are of thin versions, in which other values dangle


def test_flags_are_counted_by_label_and_version() -> None:
    cases = [
        Case(str(n), "s", version, "", (), 0, label, "")
        for n, (version, label) in enumerate([("a", "damage"), ("b", "damage"), ("b", "harmless")])
    ]
    assert told(cases, [True, False, False]) == {
        "all": {"damage": [1, 2], "harmless": [0, 1]},
        "a": {"damage": [1, 1]},
        "b": {"damage": [0, 1], "harmless": [0, 1]},
    }
