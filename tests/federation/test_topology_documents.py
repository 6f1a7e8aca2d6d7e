"""A file of the registry is read with its lines, within bounds; a doubled key is told, whatever a YAML reader makes of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridkeeper.federation.topology.documents import Block, Items, read_document


def read(text: str) -> Any:
    value, faults = read_document(text.encode(), "a.yaml")
    assert faults == []
    return value


def codes(data: bytes) -> list[tuple[str, int]]:
    return [(fault.code, fault.line) for fault in read_document(data, "a.yaml")[1]]


def test_every_key_and_member_knows_its_line() -> None:
    value = read("a: 1\nb:\n  - x\n\n  - y: 2\n")
    assert isinstance(value, Block)
    assert value.lines == {"a": 1, "b": 2}
    assert isinstance(value["b"], Items)
    assert value["b"].lines == [3, 5]
    assert value["b"][1].lines == {"y": 5}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12), ("-3", -3), ("1.5", 1.5), ("1e3", 1000.0), ("true", True), ("No", False), ("~", None), ("", None),
        ("'12'", "12"), ("02115", "02115"), ("2017-01-01", "2017-01-01"), ("12:30", "12:30"), ("1_000", "1_000"),
        ("0x10", "0x10"), (".5", 0.5), ("Feb 20, 2017 08:00 -0500", "Feb 20, 2017 08:00 -0500"), ("1" * 5000, "1" * 5000),
    ],
)  # fmt: skip
def test_values_are_what_they_look_like_and_nothing_is_guessed(text: str, value: object) -> None:
    found = read(f"key: {text}\n")["key"]
    assert (found, type(found)) == (value, type(value))


def test_of_a_doubled_key_the_last_value_counts_and_both_are_told() -> None:
    value, faults = read_document(b"ID: 1\nName: x\nID: 2\n", "a.yaml")
    assert value == {"ID": 2, "Name": "x"}
    assert value.lines["ID"] == 3
    assert value.pairs == [("ID", 1, 1), ("Name", 2, "x"), ("ID", 3, 2)]
    (fault,) = faults
    assert (fault.code, fault.severity, fault.file, fault.line) == ("duplicate-key", "error", "a.yaml", 3)
    assert (
        fault.message
        == "the key ID stands twice, on lines 1 and 3: 2 on line 3 counts, 1 on line 1 is not read"
    )


def test_an_empty_second_value_does_not_take_the_first_ones_place() -> None:
    value, faults = read_document(b"a: {x: 1}\na:\n", "a.yaml")
    assert value == {"a": {"x": 1}}
    assert value.lines == {"a": 1}
    assert "the mapping with x on line 1 counts, nothing on line 2 is not read" in faults[0].message


def test_anchors_and_merges_mean_what_yaml_says() -> None:
    assert read("a: &here [1, 2]\nb: *here\n") == {"a": [1, 2], "b": [1, 2]}
    assert read("a: &all {x: 1, y: 2}\nb:\n  <<: *all\n  y: 3\n")["b"] == {"x": 1, "y": 3}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a: [1\nb: 2\n", [("not-yaml", 2)]),
        (b"a: b: c\n", [("not-yaml", 1)]),
        (b"a: 1\n\xff\n", [("not-utf-8", 2)]),
        (b"[" * 100_000, [("beyond-bounds", 1)]),
        (b"{a: " * 1000, [("beyond-bounds", 1)]),
        (b"a: *nowhere\n", [("beyond-bounds", 1)]),
        (b"a: &a [*a]\n", [("beyond-bounds", 1)]),
        (b"? [x]\n: y\n", [("beyond-bounds", 1)]),
        (b"a: 1\n---\nb: 2\n", [("second-document", 2)]),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(data: bytes, expected: list[tuple[str, int]]) -> None:
    assert codes(data) == expected


def test_aliases_that_grow_are_stopped() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert codes("\n".join(lines).encode()) == [("beyond-bounds", 6)]


@given(st.binary(max_size=200))
def test_no_bytes_end_the_reading(data: bytes) -> None:
    value, faults = read_document(data, "a.yaml")
    assert value is not None or isinstance(faults, list)


@given(
    st.recursive(
        st.text("abc é:#-'\"\n", max_size=8) | st.integers(-(10**12), 10**12) | st.booleans() | st.none(),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_what_json_writes_is_read_back(value: object) -> None:
    import orjson

    assert read_document(orjson.dumps({"value": value}), "a.yaml") == ({"value": value}, [])
