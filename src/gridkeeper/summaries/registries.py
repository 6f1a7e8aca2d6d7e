"""The registries that summaries were made with, and the days on which records mean something else by another one.

A changed registry asks for those days only to be made anew: a resource that nobody uses yet, or another owner of one, asks for none.
A registry is kept beside the tables, under its revision. One that is gone, or damaged, costs making all summaries anew.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import pyarrow as pa

from gridkeeper.federation.model import Registry
from gridkeeper.summaries.corrections.applying import (
    CORRECTED_RESOURCE,
    corrected,
    corrected_columns,
    of_records,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from pathlib import Path

    from gridkeeper.lake.lake import Snapshot
    from gridkeeper.summaries.corrections.in_force import Corrections
    from gridkeeper.summaries.making import Maker

FOLDER = "registries"
MOST_KEPT = 5
_SPELL = "spell"  # a number for days on which neither registry changes what words mean
_SPAN = ("start_day", "end_day")


def keep(root: Path, registry: Registry) -> None:
    """Keep a registry in the lake at `root`, and the latest few before it. Where it cannot be written, none is kept."""
    folder = root / FOLDER
    path = folder / f"{registry.revision}.json"
    with contextlib.suppress(OSError):
        if path.exists():
            os.utime(path)
            return
        folder.mkdir(exist_ok=True)
        unfinished = folder / f".{registry.revision}-{os.getpid()}"
        unfinished.write_text(registry.model_dump_json(by_alias=True, exclude_none=True), encoding="utf-8")
        unfinished.replace(path)
        for old in sorted(folder.glob("*.json"), key=lambda one: -one.stat().st_mtime)[MOST_KEPT:]:
            old.unlink(missing_ok=True)


def kept(root: Path, revision: int) -> Registry | None:
    """The registry of a revision; None where it is not known any more."""
    path = root / FOLDER / f"{revision}.json"
    try:
        registry = Registry.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None
    return registry if registry.revision == revision else None


def spans_otherwise(snapshot: Snapshot, before: Maker, now: Maker, corrections: Corrections) -> pa.Table:
    """From which day to which (`start_day`, `end_day`) records run that mean something else now, or of which another level counts.

    before, now: of the two registries. corrections: those that records are looked at after, on both sides.
    """
    rules = of_records(corrections.rules)
    words = sorted(before.deciding | now.deciding)
    source = "SELECT * FROM usage_records"
    if rules:
        words += [CORRECTED_RESOURCE] if CORRECTED_RESOURCE in corrected_columns(rules) else []
        source = corrected(source, rules, {*words, *_SPAN})
    days = snapshot.select("SELECT DISTINCT end_day FROM usage_records")["end_day"].to_pylist()
    spells = _spells(days, before, now)
    said = ", ".join(f"COALESCE({word}, '') AS {word}" for word in words)
    dated = f"FROM ({source}) AS chosen JOIN spells ON chosen.end_day = spells.end_day"
    distinct = snapshot.select(f"SELECT DISTINCT {said}, {_SPELL} {dated}", tables={"spells": spells})
    other = distinct.filter(_is_other(distinct, words, spells, before, now))
    if not len(other):  # no need to read all words again
        return pa.schema([(name, pa.date32()) for name in _SPAN]).empty_table()
    alike = " AND ".join(f"COALESCE(chosen.{word}, '') = other.{word}" for word in words)
    return snapshot.select(
        f"SELECT DISTINCT start_day, chosen.end_day {dated} JOIN other ON spells.{_SPELL} = other.{_SPELL} AND {alike}",
        tables={"spells": spells, "other": other},
    )


def _spells(days: Sequence[date], before: Maker, now: Maker) -> pa.Table:
    """The days on which records end, numbered alike where words mean the same on them by each registry."""
    numbers: dict[tuple[str, str], int] = {}
    spells = [numbers.setdefault((before.as_of(day), now.as_of(day)), len(numbers)) for day in days]
    return pa.table({"end_day": pa.array(days, pa.date32()), _SPELL: pa.array(spells, pa.int32())})


def _is_other(
    distinct: pa.Table, words: Sequence[str], spells: pa.Table, before: Maker, now: Maker
) -> pa.Array:
    """Of each combination of words whether it means something else now."""
    day_of = dict(zip(spells[_SPELL].to_pylist(), spells["end_day"].to_pylist(), strict=True))
    columns = (distinct[name].to_pylist() for name in (_SPELL, *words))
    found = []
    for spell, *said in zip(*columns, strict=True):
        told, day = dict(zip(words, said, strict=True)), day_of[spell]
        found.append(before.told(told, day) != now.told(told, day))
    return pa.array(found, pa.bool_())
