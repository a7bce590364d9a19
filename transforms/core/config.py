"""The base of every configuration class: typed, frozen, and strict about names and types (pydantic)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError


class Config(BaseModel):
    """Unknown keys fail, with the allowed ones in the message; `"3"` is not a number and `0` is not false."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys_only(cls, values: Any) -> Any:
        if isinstance(values, dict):
            names = [field.alias or name for name, field in cls.model_fields.items()]
            for key in values:
                if key not in names:
                    raise unknown_key(str(key), names)
        return values


def unknown_key(key: str, allowed: list[str]) -> PydanticCustomError:
    """The error for a key that is not in `allowed`, with the nearest one as a guess."""
    near = difflib.get_close_matches(key, allowed, n=1)
    guess = f"did you mean {near[0]!r}? " if near else ""
    names = ", ".join(allowed) or "no keys here"
    return PydanticCustomError(
        "unknown_key", "unknown key; {guess}allowed: {names}", {"key": key, "guess": guess, "names": names}
    )


def refuse_unread(config: BaseModel, method: str, names: Iterable[str], because: str) -> None:
    """Raises the error for the first of these options of a pruning method that is given though nothing reads it."""
    for name in sorted(config.model_fields_set.intersection(names)):
        raise combination(
            f"prune.options.{method}.{name}",
            f"is not read, as {because}; to leave it out, replace all options: --set 'prune.options.{method}={{…}}'",
        )


def combination(key: str, message: str) -> PydanticCustomError:
    """The error for values that do not fit together; `key` is the dotted name of the one to change."""
    return PydanticCustomError("combination", "{message}", {"key": key, "message": message})
