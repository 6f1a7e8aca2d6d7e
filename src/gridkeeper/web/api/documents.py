"""Writes the API's answers: JSON in which moments and days stand as ISO 8601 writes them."""

from __future__ import annotations

import json
from typing import Any


def as_json(said: Any) -> bytes:
    """An answer's body."""
    return json.dumps(said, default=_iso, ensure_ascii=False).encode("utf-8", "replace")


def _iso(value: Any) -> str:
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)
