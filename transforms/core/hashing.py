"""Canonical JSON, and checksums of it."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_json(value: Any) -> str:
    """JSON with one spelling for equal values."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def fingerprint(about: dict[str, Any]) -> str:
    """sha256 of what a folder is made from."""
    return hashlib.sha256(canonical_json(about).encode()).hexdigest()
