"""What a loader needed for one round it does not keep for ever."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import deltalake
import pytest
from deltalake import DeltaTable
from deltalake.transaction import AddAction, RemoveAction

from gridkeeper.intake.memory import sparing_environment

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


_WITHOUT_BEING_ASKED_AGAIN = """
import sys, time
from gridkeeper.lake.engines.contract import Question
from gridkeeper.lake.engines.duckdb import DuckDB
from gridkeeper.intake.memory import give_back, take_sparingly
from deltalake import DeltaTable

take_sparingly()
engine = DuckDB(threads=2)

def work(table, times, rows):
    opened = [DeltaTable(table) for _ in range(times)]
    most = held()
    del opened
    asked = f"SELECT COUNT(*) FROM (SELECT range % 3000017, COUNT(*) FROM range({rows}) GROUP BY ALL)"
    engine.answer(Question(asked, {}))
    most = max(most, held())
    give_back()
    return most

work(sys.argv[2], 1, 1)
before = held()
most = work(sys.argv[1], int(sys.argv[3]), int(sys.argv[4]))
until = time.monotonic() + 20
while held() - before > (most - before) / 4 and time.monotonic() < until:
    time.sleep(0.2)
print(before, most, held())
"""


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(("openings", "asked"), [(20, 1), (1, 6_000_000)])
def test_what_tables_and_questions_needed_goes_back_though_nobody_asks_again(
    tmp_path: Path, openings: int, asked: int
) -> None:
    table, empty = str(tmp_path / "table"), str(tmp_path / "empty")
    schema = deltalake.Schema([deltalake.Field("name", deltalake.schema.PrimitiveType("string"))])
    for each in (table, empty):
        DeltaTable.create(each, schema)
    files: list[AddAction | RemoveAction] = [
        AddAction(f"{number:032x}.parquet", 100, {}, 0, True, json.dumps({"numRecords": 1}))
        for number in range(20_000)
    ]
    DeltaTable(table).create_write_transaction(files, "append", schema)
    done = subprocess.run(
        [sys.executable, "-c", _HELD + _WITHOUT_BEING_ASKED_AGAIN, table, empty, str(openings), str(asked)],
        capture_output=True, text=True, check=True, env={**sparing_environment(), **os.environ},
    )  # fmt: skip
    before, most, after = map(int, done.stdout.split())
    assert most - before > 20
    assert after - before < (most - before) / 3
