"""What a loader needed for one round it does not keep for ever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_HELD = """
def held():
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:")) // 1024
"""

_ROUND = """
import pyarrow as pa
from gridkeeper.intake.memory import give_back

before = held()
pieces = [pa.py_buffer(bytes(100_000)).to_pybytes() for _ in range(500)]
columns = [pa.array(range(20_000)) for _ in range(500)]
most = held()
del pieces, columns
give_back()
print(before, most, held())
"""


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux's /proc")
def test_memory_of_a_round_goes_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", _HELD + _ROUND], capture_output=True, text=True, check=True)
    before, most, after = map(int, done.stdout.split())
    assert most - before > 100
    assert after - before < (most - before) / 4


_ROUNDS_OF_THREADS = """
import pyarrow as pa
from concurrent.futures import ThreadPoolExecutor
from gridkeeper.intake.memory import give_back, take_sparingly

def a_round():
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: len(pa.array(range(200_000)).cast(pa.string())), range(20)))
    give_back()

take_sparingly()
a_round()
once = held()
for _ in range(10):
    a_round()
print(pa.default_memory_pool().backend_name, once, held())
"""


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux's /proc")
def test_threads_that_ended_with_their_round_keep_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _HELD + _ROUNDS_OF_THREADS], capture_output=True, text=True, check=True
    )
    backend, once, after_ten_more = done.stdout.split()
    assert backend == "system"
    assert int(after_ten_more) - int(once) < 20
