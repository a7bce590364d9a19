"""Every record survives the way to Arrow and back."""

from __future__ import annotations

import dataclasses
import inspect
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.core import records as types
from transforms.core import schema

RECORDS = [kind for _, kind in inspect.getmembers(types, dataclasses.is_dataclass)]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
@given(data=st.data())
def test_round_trip(record: Any, data: st.DataObject) -> None:
    text = st.text(st.characters(exclude_categories=["Cs"]))
    with_finite = {str: text, int: st.integers(-(2**63), 2**63 - 1), float: st.floats(allow_nan=False)}
    for kind, strategy in with_finite.items():
        st.register_type_strategy(kind, strategy)
    row = data.draw(st.builds(record))
    (back,) = schema.to_table(record, [row]).to_pylist()
    assert repr(schema.from_plain(record, back)) == repr(row)  # NaN equals itself there


def test_nan_survives() -> None:
    row = types.StepScore(math.nan, math.nan, 0.0, 0.0, 0.0, 0)
    (back,) = schema.to_table(types.StepScore, [row]).to_pylist()
    assert math.isnan(schema.from_plain(types.StepScore, back).mean_surprisal_nats)


def test_a_field_arrow_cannot_hold_is_refused() -> None:
    @dataclasses.dataclass(frozen=True)
    class Odd:
        value: complex

    with pytest.raises(TypeError, match="complex"):
        schema.arrow_schema(Odd)
