"""How often tests that depend on chance try: in full where a developer runs them, a share of it where GRIDKEEPER_TRIES says so."""

from __future__ import annotations

import os

VARIABLE = "GRIDKEEPER_TRIES"


def times(whole: int) -> int:
    """`whole`, or the share of it that GRIDKEEPER_TRIES says (0.3: three in ten), at least one."""
    return max(1, round(whole * float(os.environ.get(VARIABLE, "1"))))
