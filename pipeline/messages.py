"""What is wrong with params.yaml, in one line that names the key, the value and what is allowed.

validated(Sampling, {"temperature": "hot"}, ("generate", "sampling")) →
    ConfigError: generate.sampling.temperature = 'hot': input should be a valid number
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from transforms.core.config import Config
from transforms.core.errors import ConfigError

MISSING = "(default)"


def validated(kind: type[Config], values: Any, where: tuple[str, ...]) -> Any:
    """The values as a `kind`, which is at `where` in the parameter file; else a ConfigError of one line."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise ConfigError("; ".join(_line(item, values, where) for item in _telling(error.errors())[:3])) from None


def _telling(errors: list[Any]) -> list[Any]:
    """The errors but for those that only follow from another one, as a list being too short without its wrong items."""
    inner = [error["loc"] for error in errors]
    return [
        error
        for error in errors
        if not (
            error["type"] == "too_short"
            and any(len(loc) > len(error["loc"]) and loc[: len(error["loc"])] == error["loc"] for loc in inner)
        )
    ]


def _line(error: Any, values: Any, where: tuple[str, ...]) -> str:
    """`generate.sampling.temperature = 'hot': input should be a valid number`."""
    context = error.get("ctx") or {}
    tags_only = error["type"] in ("unknown_key", "source", "union_tag_invalid", "union_tag_not_found")
    key = [*where, *_path(error["loc"], values, tags_only)]
    if error["type"].startswith("union_tag"):
        key.append(context["discriminator"].strip("'"))
    elif error["type"] == "combination":
        key = context["key"].split(".")
    elif error["type"] in ("unknown_key", "source"):
        key.append(context["key"])
    message = _IN_YAML.get(error["type"]) or error["msg"][0].lower() + error["msg"][1:]
    if error["type"] == "union_tag_invalid":
        message = f"allowed: {context['expected_tags']}"
    if error["type"] in ("missing", "union_tag_not_found"):
        return f"{'.'.join(key)}: missing; it has no default"
    value = "***" if "api_key" in key[-1:][0] else value_at(values, key[len(where) :])  # it may be the key itself
    return f"{'.'.join(key) or 'params.yaml'} = {_short(value)}: {message}"


# pydantic's words for Python's types, in YAML's.
_IN_YAML = {
    "too_short": "must have at least one entry",
    "tuple_type": "must be a list: [one, two]",
    "dict_type": "must be a group of keys",
    "model_type": "must be a group of keys",
    "model_attributes_type": "must be a group of keys",
}


def _path(loc: tuple[Any, ...], values: Any, all_there: bool) -> list[str]:
    """The error's location without the tags that pydantic adds for unions; `all_there`: its last part is no missing key."""
    path: list[str] = []
    node = values
    for number, part in enumerate(loc):
        missing_key = number == len(loc) - 1 and not all_there
        if isinstance(node, dict) and part not in node and not missing_key:
            continue
        path.append(str(part))
        node = value_at(node, [str(part)])
    return path


def value_at(values: Any, key: list[str]) -> Any:
    """What the parameters have under a key; MISSING, if nothing."""
    for part in key:
        if isinstance(values, dict) and part in values:
            values = values[part]
        elif isinstance(values, list | tuple) and part.isdecimal() and int(part) < len(values):
            values = values[int(part)]
        else:
            return MISSING
    return values


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
