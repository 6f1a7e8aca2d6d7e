"""Gives memory that a round of loading needed back to the system, so that a loader stays as small as its work.

Allocators keep what was freed for the next time. Rounds differ in what they need, so what is kept adds up to the sum of
all their greatest needs; over a day, that is a multiple of what any of them needs.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

import pyarrow as pa


def give_back() -> None:
    """Give back what Arrow and the C library hold for nothing: a few milliseconds, once a round."""
    pa.default_memory_pool().release_unused()
    with suppress(AttributeError, OSError):  # another C library than GNU's
        ctypes.CDLL(None).malloc_trim(0)
