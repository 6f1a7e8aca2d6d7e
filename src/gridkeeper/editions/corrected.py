"""The corrections of an edition: written down with it, and read again as they were."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gridkeeper.summaries.corrections.in_force import Corrections
from gridkeeper.summaries.corrections.rules import Rule

if TYPE_CHECKING:
    from collections.abc import Sequence


def written(rules: Sequence[Rule]) -> bytes:
    """Rules in their order, as JSON, one a line."""
    told = ",\n ".join(rule.content for rule in rules)
    return f"[{told}]\n".encode()


def read(data: bytes) -> Corrections:
    """The set that `written` wrote down. Raises: ValueError where it is something else."""
    return Corrections(tuple(Rule.model_validate(said) for said in json.loads(data)))
