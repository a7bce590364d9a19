"""Export formats: one module each, with `render`. To add one, write its module and list it in FORMATS."""

from __future__ import annotations

from types import ModuleType

from transforms.formats import messages

FORMATS: dict[str, ModuleType] = {"messages": messages}
