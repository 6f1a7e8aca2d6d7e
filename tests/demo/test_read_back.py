"""What the formats read from the raw files, mapped by the sample's registry, is what the ledger says."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from gridkeeper.demo.places import ACCESS_POINTS
from gridkeeper.federation.mapping import WORDS, Mapper
from gridkeeper.federation.model import read_registry
from gridkeeper.formats.contract import SNIFF_BYTES
from gridkeeper.formats.registry import format_named, recognise
from gridkeeper.queries.figures import Figure
from gridkeeper.records.draft import Delivery

if TYPE_CHECKING:
    from pathlib import Path

    from gridkeeper.demo import Ledger

RECEIVED = datetime(2017, 2, 8, tzinfo=UTC)
# At least one of each kind: silent probe, GPUs, local jobs, unmapped jobs, no x509, no CPU time, access points.
SOURCES = ("Utah-Kingspeak", "Crane", "Hyak", "GLOW", "TTU-ANTAEUS", "Baylor-Kodiak", *ACCESS_POINTS)
Amounts = tuple[int, int, int]


@dataclass
class ReadBack:
    """What came of the files: an entry per file, and all records once by identity."""

    files: list[tuple[dict[str, Any], Counter[str]]] = field(default_factory=list)
    records: dict[bytes, dict[str, Any]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def read_back(sample: Path) -> ReadBack:
    found = ReadBack()
    for entry in json.loads((sample / "raw/manifest.json").read_text()):
        if entry["path"].split("/")[1] not in SOURCES:
            continue
        with (sample / entry["path"]).open("rb") as stream:
            assert recognise(stream.read(SNIFF_BYTES)).name == entry["format"]
        found.files.append((entry, _read(sample, entry, found.records)))
    return found


def _read(sample: Path, entry: dict[str, Any], records: dict[bytes, dict[str, Any]]) -> Counter[str]:
    counted: Counter[str] = Counter()
    plugin = format_named(entry["format"])
    delivery = Delivery(RECEIVED, resource=entry["resource"], probe=entry["probe"])
    names = [*WORDS, "identity", "end_time", "start_time", "wall_duration_s", "processors", "flags", "gpus"]
    with (sample / entry["path"]).open("rb") as stream:
        for block in plugin.blocks(stream):
            parsed = plugin.parse(block, delivery)
            counted.update(parsed.skipped)
            counted["broken"] += len(parsed.rejects)
            for row in parsed.tables["usage_records"].select(names).to_pylist() if parsed.tables else ():
                counted["records"] += 1
                counted["core_s"] += row["wall_duration_s"] * row["processors"]
                records.setdefault(row["identity"], row)
    return counted


@pytest.mark.slow
def test_every_file_holds_what_the_manifest_says(read_back: ReadBack) -> None:
    for entry, counted in read_back.files:
        for what in ("records", "broken", "core_s", "not_ended", "never_ran"):
            assert counted[what] == entry[what], f"{entry['path']}: {what}"
    for what in ("broken", "repeated", "late", "not_ended", "never_ran", "handshakes"):
        assert sum(entry[what] for entry, _ in read_back.files) > 0, what


def test_a_repeated_record_counts_once(read_back: ReadBack) -> None:
    written = sum(entry["records"] for entry, _ in read_back.files)
    repeated = sum(entry["repeated"] for entry, _ in read_back.files)
    assert len(read_back.records) == written - repeated


@pytest.mark.parametrize("attribution", ["end", "overlap"])
def test_the_ledger_is_met_row_by_row(
    sample: Path, ledger: Ledger, read_back: ReadBack, attribution: str
) -> None:
    mapper = Mapper(read_registry(sample / "federation.yaml"))
    got: dict[tuple[Any, ...], list[int]] = {}
    for row in read_back.records.values():
        meaning = mapper.meaning({word: row[word] for word in WORDS})
        name = (meaning.site, meaning.resource, meaning.vo, meaning.experiment, meaning.level, meaning.grid)
        for day, amounts in _days(row, attribution):
            sums = got.setdefault((day, *name), [0, 0, 0])
            for place, amount in enumerate(amounts):
                sums[place] += amount
    want = {
        row[2:9]: list(row[9:])
        for row in ledger.select(book="reported", attribution=attribution)
        if row.level == "payload" or row.resource in SOURCES
    }
    assert got == want


def _days(row: dict[str, Any], attribution: str) -> list[tuple[str, Amounts]]:
    """The parts of a record by day: jobs, wall and core seconds."""
    wall, cores, end_day = row["wall_duration_s"], row["processors"], row["end_time"].date().isoformat()
    if attribution == "end":
        return [(end_day, (1, wall, wall * cores))]
    parts: list[tuple[str, Amounts]] = [(end_day, (1, 0, 0))]
    begin = int(row["start_time"].timestamp())
    until = begin + wall
    while begin < until:
        midnight = min(until, (begin // 86_400 + 1) * 86_400)
        day = datetime.fromtimestamp(begin, UTC).date().isoformat()
        parts.append((day, (0, midnight - begin, (midnight - begin) * cores)))
        begin = midnight
    return parts


def test_odd_records_are_among_them(read_back: ReadBack) -> None:
    flags = Counter(flag for row in read_back.records.values() for flag in (row["flags"] or "").split(","))
    assert flags["processors_zero"] > 0
    assert flags["end_filled"] > 0
    assert flags["cpu_zero"] > 0
    assert any(row["gpus"] for row in read_back.records.values())


def test_the_figures_are_figures(sample: Path) -> None:
    assert [
        Figure.model_validate(one).value for one in json.loads((sample / "figures.json").read_text())
    ] == [2000, 178]
