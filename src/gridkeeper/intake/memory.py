"""Gives memory that a round of loading needed back to the system, so that a loader stays as small as its work.

Allocators keep what was freed for the next time. Rounds differ in what they need, so what is kept adds up to the sum of
all their greatest needs; over a day, that is a multiple of what any of them needs.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

import pyarrow as pa

# Parameters of GNU's mallopt, by the numbers that its malloc.h gives them.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
# The libraries that write and read tables bring jemalloc, each its own: by itself it gives back what was freed only when asked for
# more, which a loader that waits for the next batches does not. So a thread of its own gives it back, after a second. It keeps
# eight heaps where there are two cores; threads that come and go leave something in each.
_WITHIN_A_SECOND = "background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0,narenas:2"
_KEPT_BYTES = 64 * 1024 * 1024
_OWN_MAPPING_BYTES = 256 * 1024
_ARENAS = 2


def sparing_environment() -> dict[str, str]:
    """What of the environment makes libraries give memory back: they read it as they are loaded, so whoever starts a process sets it."""
    return {"_RJEM_MALLOC_CONF": _WITHIN_A_SECOND, "DUCKDB_JE_MALLOC_CONF": _WITHIN_A_SECOND}


def take_sparingly() -> None:
    """Let this process take memory so that it can be given back, whichever thread took it: once, as it starts.

    Arrow's own allocator keeps a heap for each thread, and the threads that read a round end with it; in less than two
    minutes of rounds a loader grew to 950 MiB with it, and to 250 MiB with the C library's, told to map the blocks of columns one by one.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    with suppress(AttributeError, OSError):  # another C library than GNU's
        library = ctypes.CDLL(None)
        library.mallopt(_ARENA_MAX, _ARENAS)
        library.mallopt(_MMAP_THRESHOLD, _OWN_MAPPING_BYTES)
        library.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)


def give_back() -> None:
    """Give back what Arrow and the C library hold for nothing: some tens of milliseconds."""
    pa.default_memory_pool().release_unused()
    with suppress(AttributeError, OSError):  # another C library than GNU's
        ctypes.CDLL(None).malloc_trim(0)
