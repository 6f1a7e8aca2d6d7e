"""Factors of resources: by date, HS06 as HEPScore23, a default where there is none, and no factor is no value."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from gridkeeper.errors import BadConfiguration
from gridkeeper.federation import factors
from gridkeeper.federation.model import read_registry

if TYPE_CHECKING:
    from pathlib import Path

    from gridkeeper.federation.model import Registry

UTAH = """
resources:
  - name: Utah
    benchmarks: [{from: 2017-01-01, hepscore23: 12.3}, {from: 2015-01-01, hs06: 10.1}]
    power: [{gco2e_per_kwh: 400.5, watts_per_core: 7.25}]
"""


def read(folder: Path, text: str) -> Registry:
    path = folder / "federation.yaml"
    path.write_text(text, encoding="utf-8")
    return read_registry(path)


def test_a_factor_counts_from_its_day_until_the_next_one(tmp_path: Path) -> None:
    found = factors.benchmarks(read(tmp_path, UTAH))
    assert found.on("Utah", date(2014, 12, 31)) == (None, False)
    assert found.on("Utah", date(2016, 12, 31)) == (10_100_000, False)  # HS06 and HEPScore23 are one scale
    assert found.on("Utah", date(2017, 1, 1)) == (12_300_000, False)
    assert found.on("Nebraska", date(2017, 1, 1)) == (None, False)


def test_the_default_is_of_resources_and_days_without_a_factor_and_says_so(tmp_path: Path) -> None:
    found = factors.benchmarks(read(tmp_path, "federation: {default_hepscore23: 9.5}\n" + UTAH))
    assert found.on("Utah", date(2014, 12, 31)) == (9_500_000, True)
    assert found.on(None, date(2017, 1, 1)) == (9_500_000, True)
    assert found.on("Utah", date(2017, 1, 1)) == (12_300_000, False)


def test_power_is_exact(tmp_path: Path) -> None:
    assert factors.powers(read(tmp_path, UTAH)).on("Utah", date(1999, 1, 1)) == (2_903_625_000, False)


def test_where_both_benchmarks_are_given_hepscore23_counts(tmp_path: Path) -> None:
    registry = read(tmp_path, "resources: [{name: Utah, benchmarks: [{hepscore23: 11, hs06: 13}]}]")
    assert factors.benchmarks(registry).on("Utah", date(2017, 1, 1)) == (11_000_000, False)


@pytest.mark.parametrize(
    ("benchmarks", "said"),
    [
        ("[{from: 2017-01-01}]", "a benchmark needs a value; write hepscore23 or hs06 beside from"),
        ("[{hepscore23: 0}]", "greater than 0"),
        ("[{hepscore23: -1}]", "greater than 0"),
        ("[{hepscore23: 1}, {hs06: 2}]", "two factors count from the beginning on; keep one of them"),
        (
            "[{from: 2017-01-01, hepscore23: 1}, {from: 2017-01-01, hs06: 2}]",
            "two factors count from 2017-01-01 on; keep one of them",
        ),
    ],
)
def test_a_factor_that_cannot_be_is_refused_with_its_place(
    tmp_path: Path, benchmarks: str, said: str
) -> None:
    with pytest.raises(BadConfiguration, match="benchmarks") as refused:
        read(tmp_path, f"resources: [{{name: Utah, benchmarks: {benchmarks}}}]")
    assert said in str(refused.value)


def test_a_factor_makes_no_summary_anew_and_has_a_revision_of_its_own(tmp_path: Path) -> None:
    plain = read(tmp_path, "resources: [{name: Utah}]")
    assert read(tmp_path, UTAH).revision == plain.revision
    assert factors.revision(read(tmp_path, UTAH)) != factors.revision(plain)
    default = read(tmp_path, "federation: {default_hepscore23: 10}\nresources: [{name: Utah}]")
    assert default.revision == plain.revision
    assert factors.revision(default) != factors.revision(plain)
