"""Every format does with its sample cases what their folders say."""

from __future__ import annotations

import pytest

from gridkeeper.formats.registry import format_named, formats, recognise
from tests.formats.cases import cases, delivery_of, expected, input_of, parse, rendered


@pytest.mark.parametrize(("format_name", "case"), cases())
def test_a_case_comes_out_as_its_folder_says(format_name: str, case: str) -> None:
    pieces = parse(format_named(format_name), input_of(format_name, case), delivery_of(format_name, case))
    assert rendered(pieces) == expected(format_name, case)


@pytest.mark.parametrize("format_name", formats())
def test_every_format_has_a_good_and_a_bad_case(format_name: str) -> None:
    mine = [case for name, case in cases() if name == format_name]
    outcomes = [line for case in mine for line in expected(format_name, case)]
    assert any("table" in line for line in outcomes), (
        f"tests/data/formats/{format_name}/ has no case that gives a record"
    )
    assert any("reject" in line for line in outcomes), (
        f"tests/data/formats/{format_name}/ has no case that is refused"
    )


@pytest.mark.parametrize(("format_name", "case"), cases())
def test_auto_recognises_a_case_as_its_own_format_or_refuses_it(format_name: str, case: str) -> None:
    if case.startswith("bad_header"):
        return
    assert recognise(input_of(format_name, case)[:65536]).name == format_name


@pytest.mark.parametrize(("format_name", "case"), cases())
def test_where_blocks_are_cut_changes_nothing(format_name: str, case: str) -> None:
    plugin, data, delivery = (
        format_named(format_name),
        input_of(format_name, case),
        delivery_of(format_name, case),
    )
    whole = rendered(parse(plugin, data, delivery))
    cut = rendered(parse(plugin, data, delivery, block_bytes=512))
    assert sorted(map(str, cut)) == sorted(map(str, whole))
