"""What is wrong with a registry: a code, how bad it is, where it stands, what it means, and how it is mended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. file: relative to the registry's folder; line: from 1 on, 0 for a whole file or folder.

    severity: `error` where something is lost or means two things, `warning` where it is probably a slip, `note` for what
    nobody has to mend.
    """

    code: str
    severity: Severity
    file: str
    line: int
    message: str
    fix: str
