"""Messages in folders: files that stand for one month, and a queue that an SSM reads."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from gridkeeper.exports.apel import messages
from gridkeeper.exports.folders import NotDelivered, put_files, put_in_queue
from gridkeeper.queries.periods import parse_month
from tests.exports.grids import NOW
from tests.exports.test_apel import many

if TYPE_CHECKING:
    from pathlib import Path

JANUARY = parse_month("2017-01")
MOMENT = datetime(2017, 2, 3, 10, 0, 59, 999_999, tzinfo=UTC)


def elements(queue: Path) -> list[Path]:
    """What a reader of the queue takes, in its order: names of 14 digits in folders of 8."""
    return sorted(
        path
        for path in queue.glob("*/*")
        if re.fullmatch("[0-9a-f]{8}", path.parent.name) and re.fullmatch("[0-9a-f]{14}", path.name)
    )


def test_files_of_an_earlier_time_that_are_no_more_are_removed_and_others_stay(tmp_path: Path) -> None:
    put_files(tmp_path, messages(JANUARY, many(2001), "v0.4", NOW))
    put_files(tmp_path, messages(JANUARY, many(5), "gracc", NOW))
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    assert len(list(tmp_path.iterdir())) == 3 + 1 + 2 + 1
    put_files(tmp_path, messages(JANUARY, many(7), "v0.4", NOW))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "apel-2017-01-gracc-summaries-0001.apel", "apel-2017-01-gracc-sync-0001.apel", "apel-2017-01-v0.4-summaries-0001.apel",
        "apel-2017-01-v0.4-sync-0001.apel", "notes.txt",
    ]  # fmt: skip


def test_a_queue_holds_each_message_whole_in_order_and_nothing_unfinished(tmp_path: Path) -> None:
    made = messages(JANUARY, many(2001), "v0.4", NOW)
    queue = tmp_path / "outgoing"
    put_in_queue(queue, made, MOMENT)
    found = elements(queue)
    assert [path.read_bytes() for path in found] == [message.text for message in made]
    assert {path for path in queue.rglob("*") if path.is_file()} == set(found)
    second = int(MOMENT.timestamp())
    assert found[0].name[:8] == f"{second:08x}"
    assert int(found[0].name[8:13], 16) == 999_999
    assert int(found[0].parent.name, 16) == second - second % 60
    assert int(found[1].name[:8], 16) == second + 1  # a microsecond later is the next second


def test_messages_of_one_moment_do_not_take_each_other_s_places(tmp_path: Path) -> None:
    made = messages(JANUARY, many(3), "v0.4", NOW)
    for _ in range(3):
        put_in_queue(tmp_path, made, MOMENT)
    assert len(elements(tmp_path)) == 6


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(NotDelivered, match="cannot be written"):
        put_in_queue(tmp_path / "queue", messages(JANUARY, many(1), "v0.4", NOW), MOMENT)


def test_a_file_where_the_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "queue").write_text("no folder", encoding="utf-8")
    made = messages(JANUARY, many(1), "v0.4", NOW)
    for put in (put_files, lambda folder, what: put_in_queue(folder, what, MOMENT)):
        with pytest.raises(NotDelivered, match="cannot be written"):
            put(tmp_path / "queue", made)
