"""Export formats: one module each, with `render`. To add one, write its module and list it in FORMATS."""

from __future__ import annotations

from collections.abc import Callable

from transforms.core.records import Example, Kept
from transforms.formats import messages
from transforms.steps.versions import Version

Render = Callable[[Version, Kept, str, int], Example]  # the version, its choice, the prompt, and the data set's round
FORMATS: dict[str, Render] = {"messages": messages.render}
