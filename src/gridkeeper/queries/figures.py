"""External figures: {source, vo, measure, unit, period, value, address}, kept as they were given."""

from __future__ import annotations

import csv
import os
from datetime import date
from typing import TYPE_CHECKING

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from gridkeeper.errors import UserMistake

if TYPE_CHECKING:
    from pathlib import Path

    from gridkeeper.queries.periods import Period


class Figure(BaseModel):
    """One figure that somebody else published; [first, until) are UTC days."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    vo: str | None = None
    measure: str
    unit: str
    first: date
    until: date
    value: float
    address: str = ""

    @model_validator(mode="after")
    def _has_days(self) -> Figure:
        if self.until <= self.first:
            raise ValueError("until must be a day after first")
        return self

    @property
    def key(self) -> tuple[object, ...]:
        """What the figure is of; a later value for the same replaces it."""
        return (self.source, self.vo, self.measure, self.unit, self.first, self.until)


def load(store: Path, file: Path) -> tuple[int, int]:
    """Add the figures of a JSON list or a CSV file; returns how many were new and how many known.

    Raises: UserMistake (permanent) that names file and entry.
    """
    try:
        entries = _entries(file)
    except OSError as error:
        raise UserMistake(f"{file} cannot be read: {error.strerror}") from error
    except (orjson.JSONDecodeError, UnicodeDecodeError, csv.Error) as error:
        raise UserMistake(f"{file} is neither a JSON list nor CSV: {error}") from error
    before = {figure.key: figure for figure in known(store)}
    after = dict(before)
    for number, entry in enumerate(entries, start=1):
        try:
            figure = Figure.model_validate(entry)
        except ValidationError as error:
            first = error.errors()[0]
            place = " › ".join(str(part) for part in first["loc"])
            raise UserMistake(f"{file}, figure {number}: {place}: {first['msg']}") from error
        after[figure.key] = figure
    new = sum(before.get(key) != figure for key, figure in after.items())
    if new:
        _write(store, list(after.values()))
    return new, len(entries) - new


def _entries(file: Path) -> list[object]:
    if file.suffix.lower() == ".csv":
        with file.open(encoding="utf-8", newline="") as stream:
            return [
                {key: value for key, value in row.items() if value != ""} for row in csv.DictReader(stream)
            ]
    loaded = orjson.loads(file.read_bytes())
    if not isinstance(loaded, list):
        raise UserMistake(f"{file} holds no list of figures")
    return loaded


def known(store: Path) -> list[Figure]:
    """All figures, by period, source and measure."""
    if not store.exists():
        return []
    figures = [Figure.model_validate(entry) for entry in orjson.loads(store.read_bytes())]
    return sorted(
        figures,
        key=lambda figure: (figure.first, figure.until, figure.source, figure.vo or "", figure.measure),
    )


def of_period(store: Path, period: Period) -> list[Figure]:
    """The figures of exactly this period."""
    return [figure for figure in known(store) if (figure.first, figure.until) == (period.first, period.until)]


def _write(store: Path, figures: list[Figure]) -> None:
    unfinished = store.with_suffix(".unfinished")
    with unfinished.open("wb") as stream:
        stream.write(orjson.dumps([figure.model_dump() for figure in figures], option=orjson.OPT_INDENT_2))
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(store)
