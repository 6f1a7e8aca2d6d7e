"""What a process remembers of identities spares it reading, and changes nothing of what becomes of records."""

from __future__ import annotations

import random
import tempfile
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridkeeper.lake import maintenance, seen
from gridkeeper.lake.append import DUPLICATE, LOADED, REVISED, append
from gridkeeper.lake.engines.duckdb import DuckDB
from gridkeeper.lake.files import DataFile
from gridkeeper.lake.lake import Lake
from gridkeeper.lake.seen import IDENTITY_BYTES, Seen
from gridkeeper.records.usage import USAGE_RECORDS
from tests.lake.rows import job, rows

if TYPE_CHECKING:
    from pathlib import Path

    from gridkeeper.lake.engines.contract import Question

ENGINE = DuckDB(threads=1)


class Listening(DuckDB):
    """Answers, and tells of each question about stored records what was asked and of how many files."""

    def __init__(self) -> None:
        super().__init__(threads=1)
        self.heard: list[tuple[str, int]] = []

    def answer(self, question: Question) -> pa.Table:
        if "stored" in question.sources:
            self.heard.append((question.sql.partition(" FROM ")[0], len(question.sources["stored"].files)))
        return super().answer(question)


def test_of_new_records_only_the_files_not_yet_read_are_asked(tmp_path: Path) -> None:
    engine, other = Listening(), Lake(tmp_path, ENGINE)
    lake = Lake(tmp_path, engine)
    for number in range(5):
        other.append(USAGE_RECORDS, rows([job(number)]))
        lake.append(USAGE_RECORDS, rows([job(-1 - number)]))
    # The first look-up asks the files themselves; then each reads what another process wrote, and never what its own wrote.
    asked_itself, read_both, read = (
        ("SELECT DISTINCT identity", 1),
        ("SELECT identity", 2),
        ("SELECT identity", 1),
    )
    assert engine.heard == [asked_itself, read_both, read, read, read]


def test_what_it_wrote_itself_is_known_without_reading(tmp_path: Path) -> None:
    engine = Listening()
    lake = Lake(tmp_path, engine)
    for number in range(4):
        lake.append(USAGE_RECORDS, rows([job(number)]))
    assert engine.heard == [("SELECT DISTINCT identity", 1)]
    assert lake.append_each(USAGE_RECORDS, rows([job(2), job(4)])).tolist() == [DUPLICATE, LOADED]


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32))
def test_fates_are_those_of_a_process_that_remembers_nothing(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    draw, root = random.Random(seed), tmp_path_factory.mktemp("lakes")
    ours, others, forgetful = Lake(root / "one", ENGINE), Lake(root / "one", ENGINE), root / "other"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seen, "READ_AT_ONCE_ROWS", draw.choice([1, 3, 1000]))
        patch.setattr(seen, "JOINED_AT_ONCE", draw.choice([1, 2, 1000]))
        patch.setattr(seen, "STEP", draw.choice([1, 2, 64]))
        for _ in range(12):
            sent = rows(
                [job(draw.randrange(12), wall_s=draw.choice([60, 70])) for _ in range(draw.randint(1, 5))]
            )
            fates = draw.choice([ours, others]).append_each(USAGE_RECORDS, sent)
            assert fates.tolist() == append(forgetful, ENGINE, USAGE_RECORDS, sent).tolist()
            if draw.random() < 0.1:
                maintenance.compact(ours)


def test_after_files_were_joined_records_are_known_as_before(tmp_path: Path) -> None:
    lake = Lake(tmp_path, ENGINE)
    for number in range(4):
        lake.append(USAGE_RECORDS, rows([job(number)]))
    maintenance.compact(lake)
    sent = rows([job(number) for number in range(5)] + [job(2, wall_s=60)])
    assert lake.append_each(USAGE_RECORDS, sent).tolist() == [DUPLICATE] * 4 + [LOADED, REVISED]


def test_without_room_to_remember_the_files_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    lake = Lake(tmp_path, ENGINE)
    for number in range(3):
        lake.append(USAGE_RECORDS, rows([job(number)]))
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    assert lake.append_each(USAGE_RECORDS, rows([job(0), job(3)])).tolist() == [DUPLICATE, LOADED]
    monkeypatch.undo()
    assert lake.append_each(USAGE_RECORDS, rows([job(3), job(4)])).tolist() == [DUPLICATE, LOADED]


@pytest.mark.parametrize("count", [1, 63, 64, 65, 128, 5000])
def test_a_run_holds_what_was_put_into_it_and_nothing_else(tmp_path: Path, count: int) -> None:
    draw = np.random.default_rng(count)
    within = draw.integers(0, 2**64, count, np.uint64)
    run = seen._Run(tmp_path, [np.sort(np.append(within, within[:2]))])
    asked = np.sort(
        np.concatenate(
            [within, within + np.uint64(1), within - np.uint64(1), [np.uint64(0), np.uint64(2**64 - 1)]]
        )
    )
    assert (run.holds(asked) == np.isin(asked, within)).all()


def _file(path: str, count: int) -> DataFile:
    return DataFile(path, 1, count, {}, {}, {})


def _names(numbers: range) -> pa.ChunkedArray:
    return pa.chunked_array([[number.to_bytes(IDENTITY_BYTES, "little") for number in numbers]], pa.binary())


def test_what_is_in_no_file_any_more_is_forgotten(tmp_path: Path) -> None:
    memory = Seen(tmp_path)
    first, second = _file("first", 10), _file("second", 4)
    held = {"first": range(10), "second": range(100, 104)}

    def ask(numbers: range, listed: list[DataFile]) -> np.ndarray:
        found, unread = memory.perhaps(
            _names(numbers), listed, listed, lambda files: _names(held[files[0].path])
        )
        assert not unread
        return found

    memory.perhaps(_names(range(1)), [], [], lambda _: _names(range(0)))  # the first look-up reads nothing
    assert ask(range(8, 12), [first]).tolist() == [True, True, False, False]
    assert ask(range(102, 106), [second]).tolist() == [True, True, False, False]
    assert ask(range(8, 12), [second]).tolist() == [False] * 4
