"""Finds the names that somebody may have meant who wrote one that nobody has."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_NEAREST = 5
_LIKENESS = 0.5


def nearest(name: str, known: Iterable[str], most: int = MOST_NEAREST) -> list[str]:
    """The known names that are likest, then those that `name` is part of or that are part of it; case does not matter."""
    by_lower_case = {one.lower(): one for one in sorted(known)}
    wanted = name.lower()
    alike = get_close_matches(wanted, by_lower_case, most, _LIKENESS)
    within = [one for one in by_lower_case if one and wanted and (wanted in one or one in wanted)]
    return [by_lower_case[one] for one in dict.fromkeys([*alike, *within])][:most]
