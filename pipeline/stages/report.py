"""report/ from all other folders."""

from __future__ import annotations

from typing import Any

from pipeline.report import page
from pipeline.stages.base import Context


def run(context: Context) -> dict[str, Any]:
    """The report's numbers."""
    return page.write(context.params, context.paths)
