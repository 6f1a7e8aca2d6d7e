"""Laws of cutting, remembering and writing down times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridkeeper.probes import boundaries, clock
from gridkeeper.probes.contract import BANNERS, BLANK_LINES, LINES, WHOLE
from gridkeeper.probes.sacct_text import records
from gridkeeper.probes.seen import Seen

if TYPE_CHECKING:
    from pathlib import Path

WORDS = st.text("ab|* \n", max_size=12).map(lambda text: text.replace("\n*** ", "").encode())
ENDS = {LINES: b"\n", BLANK_LINES: b"\n\n", BANNERS: b"\n*** Offset = 0\n"}


def record(manner: str, words: bytes) -> bytes:
    plain = words.replace(b"\n", b"").replace(b"*", b"") if manner != BANNERS else words.replace(b"*", b"")
    return b"x" + plain + ENDS[manner]


@given(
    manner=st.sampled_from(sorted(ENDS)),
    words=st.lists(WORDS, min_size=2, max_size=8),
    head=st.sampled_from([b"", b"h|i\n"]),
)
def test_two_halves_are_the_whole_and_each_is_of_whole_records(
    manner: str, words: list[bytes], head: bytes
) -> None:
    all_records = [record(manner, one) for one in words]
    cut = boundaries.halves(head + b"".join(all_records), manner, len(head))
    assert cut is not None
    first, second = (half[len(head) :] for half in cut)
    assert [half[: len(head)] for half in cut] == [head, head]
    assert first + second == b"".join(all_records)
    ends = {len(b"".join(all_records[:count])) for count in range(1, len(all_records))}
    assert len(first) in ends


@given(
    manner=st.sampled_from(sorted(ENDS)),
    words=st.lists(WORDS, max_size=5),
    rest=st.sampled_from([b"", b"x", b"x | y"]),
)
def test_the_last_end_is_behind_the_last_whole_record(manner: str, words: list[bytes], rest: bytes) -> None:
    whole = b"".join(record(manner, one) for one in words)
    assert boundaries.last_end(whole + rest, manner) == len(whole)


@pytest.mark.parametrize("cut", range(1, len(b"*** Offset = 0\n")))
def test_a_banner_that_is_not_whole_ends_nothing(cut: int) -> None:
    text = b"A = 1\n*** Offset = 0\nB = 2\n"
    assert boundaries.last_end(text + b"*** Offset = 0\n"[:cut], BANNERS) == len(b"A = 1\n*** Offset = 0\n")


def test_one_record_and_whole_files_have_no_halves() -> None:
    assert boundaries.halves(b"a\n", LINES, 0) is None
    assert boundaries.halves(b"a\nb\n", WHOLE, 0) is None


@given(st.lists(st.tuples(st.binary(max_size=8), st.integers(0, 2**40)), max_size=30))
def test_what_was_seen_is_known_after_a_restart(
    tmp_path_factory: pytest.TempPathFactory, added: list[tuple[bytes, int]]
) -> None:
    path = tmp_path_factory.mktemp("seen") / "seen.bin"
    seen = Seen(1000)
    for text, stamp in added:
        seen.add(text, stamp)
    seen.save(path)
    again = Seen.load(path, 1000)
    assert all(again.has(text, stamp) for text, stamp in dict(added).items())
    assert not again.has(b"something else", 1)


def test_a_damaged_memory_is_an_empty_one(tmp_path: Path) -> None:
    seen = Seen(10)
    seen.add(b"a", 1)
    seen.save(tmp_path / "seen.bin")
    content = (tmp_path / "seen.bin").read_bytes()
    for damage in (content[:-1], content[:-1] + b"x", b""):
        (tmp_path / "seen.bin").write_bytes(damage)
        assert len(Seen.load(tmp_path / "seen.bin", 10)) == 0


@given(st.lists(st.integers(0, 10_000), min_size=200, max_size=300))
def test_a_full_memory_keeps_the_latest_and_says_up_to_when_it_forgot(stamps: list[int]) -> None:
    seen = Seen(100)
    for place, stamp in enumerate(stamps):
        seen.add(str(place).encode(), stamp)
    assert len(seen) <= 100
    assert all(
        seen.has(str(place).encode(), stamp)
        for place, stamp in enumerate(stamps)
        if stamp > seen.forgotten_to
    )


@given(st.lists(st.sampled_from([b"1|2|3\n", b"a|b|c|d\n", b"rest\n", b"\n"]), max_size=12))
def test_records_joined_are_the_lines(lines: list[bytes]) -> None:
    assert b"".join(records(iter(lines), 3)) == b"".join(lines)


@given(st.integers(0, 4_000_000_000))
def test_a_moment_written_is_the_moment_read(seconds: int) -> None:
    utc = datetime.fromtimestamp(seconds, UTC)
    assert clock.from_text(clock.as_text(utc)) == utc


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "2026-11-23T25:00:00Z", "2026-11-23T12:00:00+02:00"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        clock.from_text(text)


def test_fractions_of_seconds_are_read() -> None:
    assert clock.from_text("2026-11-23T12:00:00.25Z").microsecond == 250_000
    assert clock.from_text("2026-11-23T12:00:00.123456789Z").microsecond == 123_456


def test_the_newest_end_is_never_in_the_future() -> None:
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    ends = [int((now + timedelta(hours=hours)).timestamp()) for hours in (-2, -1, 50)]
    text = "".join(f"CompletionDate = {end}\n" for end in ends).encode()
    assert boundaries.newest_end(text, "condor-history", now) == now - timedelta(hours=1)
    assert boundaries.newest_end(b"CompletionDate = 0\n", "condor-history", now) is None
