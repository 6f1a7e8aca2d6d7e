"""What no format may do, whatever it is given: raise, hang, take memory without bound, or lose a line silently."""

from __future__ import annotations

import tracemalloc
from io import BytesIO
from typing import BinaryIO, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridkeeper.formats.contract import RECORD_LIMIT_BYTES
from gridkeeper.formats.registry import format_named, formats
from gridkeeper.records.rules import Rule
from tests.formats.cases import cases, input_of, parse

MOST_BYTES_HELD = 64 * 1024 * 1024


@st.composite
def mutilated(draw: st.DrawFn) -> tuple[str, bytes]:
    """A sample case with bytes cut off, overwritten, doubled or swapped."""
    format_name, case = draw(st.sampled_from(cases()))
    data = bytearray(input_of(format_name, case))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        length = draw(st.integers(0, 40))
        change = draw(st.sampled_from(["cut off", "delete", "insert", "double"]))
        if change == "cut off":
            del data[at:]
        elif change == "delete":
            del data[at : at + length]
        elif change == "insert":
            data[at:at] = draw(
                st.binary(max_size=20)
                | st.sampled_from(
                    [
                        b"-1",
                        b"|",
                        b"\n",
                        b"\xff\xfe",
                        b"99999999999999999999",
                        b"<!ENTITY",
                        b"%%",
                        b"undefined",
                    ]
                )
            )
        else:
            data[at:at] = data[at : at + length * 10]
    return format_name, bytes(data)


@pytest.mark.slow
@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(mutilated())
def test_mutilated_input_never_raises(sample: tuple[str, bytes]) -> None:
    format_name, data = sample
    for piece in parse(format_named(format_name), data):
        for reject in piece.rejects:
            assert isinstance(reject.rule, Rule)
            assert reject.line >= 1
        for table in piece.tables.values():
            table.validate(full=True)
            assert table["identity"].null_count == 0


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(formats())), st.binary(max_size=2000))
def test_binary_junk_never_raises_and_makes_no_record(format_name: str, junk: bytes) -> None:
    for piece in parse(format_named(format_name), junk):
        assert not any(map(len, piece.tables.values()))


class Endless(BytesIO):
    """A source without any end of line, made as it is read."""

    def __init__(self, begin: bytes, size: int) -> None:
        super().__init__()
        self._begin, self._left = begin, size

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = min(self._left, size if size is not None and size >= 0 else self._left)
        self._left -= wanted
        head, self._begin = self._begin[:wanted], self._begin[wanted:]
        return head + b"x" * (wanted - len(head))


@pytest.mark.parametrize("format_name", formats())
def test_an_endless_record_is_refused_in_bounded_memory(format_name: str) -> None:
    plugin = format_named(format_name)
    good = next(input_of(name, case) for name, case in cases() if name == format_name)
    stream = Endless(good[: good.find(b"\n") + 1 or len(good)], 6 * MOST_BYTES_HELD)
    tracemalloc.start()
    refused = [reject for block in plugin.blocks(cast("BinaryIO", stream)) for reject in block.refused]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < MOST_BYTES_HELD
    assert [reject.rule for reject in refused] == [Rule.RECORD_TOO_LONG]
    assert refused[0].text_bytes > RECORD_LIMIT_BYTES
