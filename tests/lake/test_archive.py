"""The archive keeps each text once a month and every reception of it; whole months of both are let go of together."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from gridkeeper.lake import archive, maintenance
from gridkeeper.lake.archive import Received, digest, packed, unpacked
from gridkeeper.lake.engines.duckdb import DuckDB
from gridkeeper.lake.lake import Lake
from gridkeeper.lake.seen import Seen

if TYPE_CHECKING:
    from pathlib import Path

JANUARY = datetime(2017, 1, 31, 23, tzinfo=UTC)
FEBRUARY = datetime(2017, 2, 1, 1, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", DuckDB(threads=1))


def received(
    text: bytes, source: str, sender: str | None = "token a11ce000 (Utah)", moment: datetime = JANUARY
) -> Received:
    return Received(
        digest(text, b""), moment, source, sender, "198.51.100.7" if sender else None, "sacct", None,
        "slurm:utah", "Utah", None, '{"resources": ["utah"], "vos": [], "foreign": []}', 1, b"", packed(text), len(text),
    )  # fmt: skip


def texts(lake: Lake) -> list[tuple[str | None, bytes]]:
    rows = lake.snapshot().select("SELECT sender, payload FROM archive ORDER BY received_at, sha256")
    return [(row["sender"], unpacked(row["payload"])) for row in rows.to_pylist()]


def receptions(lake: Lake) -> list[tuple[str, str | None, datetime]]:
    rows = lake.snapshot().select(
        "SELECT source, sender, received_at FROM receptions ORDER BY received_at, source"
    )
    return [(row["source"], row["sender"], row["received_at"]) for row in rows.to_pylist()]


def test_bytes_that_alice_and_bob_both_sent_are_kept_once_and_both_are_named(lake: Lake) -> None:
    alice = received(b"job 1\n", "batch 1")
    bob = replace(
        alice, source="batch 2", sender="token b0b00000 (Nebraska)", address="203.0.113.4", binding=None
    )
    assert lake.archive([alice, bob]) == 1
    assert texts(lake) == [("token a11ce000 (Utah) at 198.51.100.7", b"job 1\n")]
    rows = lake.snapshot().select("SELECT * FROM receptions ORDER BY source").to_pylist()
    assert [(row["sender"], row["address"], row["said_by"]) for row in rows] == [
        ("token a11ce000 (Utah)", "198.51.100.7", "slurm:utah"),
        ("token b0b00000 (Nebraska)", "203.0.113.4", "slurm:utah"),
    ]
    assert [row["binding"] for row in rows] == [alice.binding, None]


def test_what_is_kept_again_after_a_crash_changes_nothing(lake: Lake) -> None:
    blocks = [
        received(b"job 1\n", "batch 1"),
        received(b"job 2\n", "batch 1"),
        received(b"job 1\n", "batch 2"),
    ]
    archive._add(
        lake.root, lake.engine, archive.ARCHIVE, ("sha256",), "2017-01", [vars(blocks[0])], Seen(lake.root)
    )
    for _ in range(2):  # the first time, the loader died between the text and its reception
        lake.archive(blocks)
        assert len(texts(lake)) == 2
        assert [source for source, *_ in receptions(lake)] == ["batch 1", "batch 1", "batch 2"]
    version = lake.snapshot().handle("receptions").version
    lake.archive(blocks)
    assert lake.snapshot().handle("receptions").version == version


def test_four_loaders_at_once_neither_lose_nor_double_a_reception(lake: Lake) -> None:
    lake.archive([received(b"job 0\n", "batch 0")])
    parts = [
        [received(b"job %d\n" % (number % 5), f"batch {number}") for number in range(start, start + 12)]
        for start in (0, 6, 12, 18)
    ]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lake.archive, parts))
    assert len(texts(lake)) == 5
    assert sorted(source for source, *_ in receptions(lake)) == sorted(f"batch {n}" for n in range(30))


@pytest.mark.parametrize("seed", range(3))
def test_what_a_process_remembers_of_names_neither_loses_nor_doubles_any(lake: Lake, seed: int) -> None:
    """Two processes take turns; between them months are let go of, and files are joined."""
    chance = random.Random(seed)
    processes = [lake, Lake(lake.root, DuckDB(threads=1))]
    expected: set[tuple[str, bytes, str]] = set()
    for _ in range(10):
        some = [
            (
                chance.choice((JANUARY, FEBRUARY)),
                b"job %d\n" % chance.randrange(9),
                f"batch {chance.randrange(3)}",
            )
            for _ in range(chance.randrange(1, 6))
        ]
        blocks = [received(text, source, moment=moment) for moment, text, source in some]
        new = {(block.month, block.sha256) for block in blocks} - {
            (month, digest(text, b"")) for month, text, _ in expected
        }
        assert chance.choice(processes).archive(blocks) == len(new)
        expected |= {(f"{moment:%Y-%m}", text, source) for moment, text, source in some}
        assert _by_month(lake) == sorted(
            (month, digest(text, b""), source) for month, text, source in expected
        )
        match chance.randrange(5):
            case 0:
                maintenance.compact(lake)
            case 1:
                archive.forget(lake.root, date(2017, 2, 1))
                expected = {one for one in expected if one[0] == "2017-02"}


def _by_month(lake: Lake) -> list[tuple[str, str, str]]:
    rows = lake.snapshot().select("SELECT received_at, sha256, source FROM receptions").to_pylist()
    return sorted((f"{row['received_at']:%Y-%m}", row["sha256"], row["source"]) for row in rows)


def test_months_are_let_go_of_with_their_receptions_and_no_reception_is_left_without_its_text(
    lake: Lake,
) -> None:
    first, again = received(b"job 1\n", "batch 1"), received(b"job 1\n", "batch 2", moment=FEBRUARY)
    lake.archive([first, received(b"job 2\n", "batch 1")])
    lake.archive([again])
    assert len(texts(lake)) == 3  # the same bytes in another month are kept in that month, too
    assert archive.forget(lake.root, date(2017, 1, 31)) == 0  # January has not ended
    assert archive.forget(lake.root, date(2017, 2, 1)) == 2  # a file of texts and one of receptions
    assert [text for _, text in texts(lake)] == [b"job 1\n"]
    assert receptions(lake) == [("batch 2", "token a11ce000 (Utah)", FEBRUARY)]
    assert archive.forget(lake.root, date(2017, 2, 28)) == 0
    assert archive.forget(lake.root, date(2018, 1, 1)) == 2
    assert (texts(lake), receptions(lake)) == ([], [])


def test_what_was_let_go_of_comes_back_when_it_is_received_again(lake: Lake) -> None:
    lake.archive([received(b"job 1\n", "batch 1")])
    archive.forget(lake.root, date(2017, 3, 1))
    lake.archive([received(b"job 1\n", "batch 9", moment=FEBRUARY)])
    assert [source for source, *_ in receptions(lake)] == ["batch 9"]
    assert [text for _, text in texts(lake)] == [b"job 1\n"]


def test_a_file_that_was_loaded_by_hand_names_no_sender(lake: Lake) -> None:
    lake.archive([received(b"job 1\n", "jobs.txt", sender=None)])
    assert texts(lake) == [(None, b"job 1\n")]
    assert [(source, sender) for source, sender, _ in receptions(lake)] == [("jobs.txt", None)]
