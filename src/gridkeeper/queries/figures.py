"""External figures: {source, vo, measure, unit, period, value, address}, kept as they were given."""

from __future__ import annotations

import csv
import io
import os
from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING

import orjson
from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError, model_validator

from gridkeeper.errors import BadConfiguration, UserMistake
from gridkeeper.queries.periods import parse_month

if TYPE_CHECKING:
    from collections.abc import Iterator
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
    value: FiniteFloat
    address: str = ""

    @model_validator(mode="before")
    @classmethod
    def _as_it_is_written(cls, entry: object) -> object:
        """Take `VO` for `vo`, and a `period` for its first day and the day after its last."""
        if not isinstance(entry, dict):
            return entry
        told = {"vo" if name == "VO" else name: value for name, value in entry.items()}
        if "period" not in told:
            return told
        if "first" in told or "until" in told:
            raise ValueError("period: write it, or first and until, not both")
        return told | _ends(told.pop("period"))

    @model_validator(mode="after")
    def _has_days(self) -> Figure:
        if self.until <= self.first:
            raise ValueError("until must be a day after first")
        return self

    @property
    def key(self) -> tuple[object, ...]:
        """What the figure is of; a later value for the same replaces it."""
        return (self.source, self.vo, self.measure, self.unit, self.first, self.until)


def _ends(period: object) -> dict[str, object]:
    """What a period's `first` and `until` are. Raises: ValueError."""
    if isinstance(period, dict) and period.keys() == {"first", "until"}:
        return period
    if isinstance(period, str):
        first, divided, until = period.strip().partition("/")
        if divided:
            return {"first": first.strip(), "until": until.strip()}
        with suppress(UserMistake):
            month = parse_month(first)
            return {"first": month.first, "until": month.until}
    raise ValueError(
        f"period: {period!r} is none; write a month (2017-01), two days (2017-01-31/2017-02-07, the second being the day "
        "after the last), or {first, until}"
    )


def load(store: Path, file: Path) -> tuple[int, int]:
    """Add the figures of a JSON object or list, or of a CSV file; returns how many were new and how many known.

    Raises: UserMistake (permanent) that names file, line or entry, and field.
    """
    try:
        entries = list(_entries(file))
    except OSError as error:
        raise UserMistake(f"{file} cannot be read: {error.strerror}") from error
    except (orjson.JSONDecodeError, UnicodeDecodeError, csv.Error) as error:
        raise UserMistake(f"{file} is neither JSON nor CSV in UTF-8: {error}") from error
    before = {figure.key: figure for figure in known(store)}
    after = dict(before)
    for place, entry in entries:
        try:
            figure = Figure.model_validate(entry)
        except ValidationError as error:
            first = error.errors()[0]
            field = "".join(f"{part}: " for part in first["loc"])
            raise UserMistake(
                f"{file}, {place}: {field}{first['msg'].removeprefix('Value error, ')}"
            ) from error
        after[figure.key] = figure
    new = sum(before.get(key) != figure for key, figure in after.items())
    if new:
        _write(store, list(after.values()))
    return new, len(entries) - new


def _entries(file: Path) -> Iterator[tuple[str, object]]:
    """What a file holds, each with its place in it; a byte order mark, as Excel writes it, is no part of the text."""
    text = file.read_text(encoding="utf-8-sig")
    if file.suffix.lower() == ".csv":
        reader = csv.DictReader(io.StringIO(text, newline=""))
        for row in reader:
            if None in row:
                raise UserMistake(f"{file}, line {reader.line_num}: more fields than the header has")
            yield f"line {reader.line_num}", {key.strip(): value for key, value in row.items() if value}
        return
    loaded = orjson.loads(text)
    if not isinstance(loaded, list | dict):
        raise UserMistake(f"{file} holds neither a figure nor a list of them")
    for number, entry in enumerate([loaded] if isinstance(loaded, dict) else loaded, start=1):
        yield f"figure {number}", entry


def known(store: Path) -> list[Figure]:
    """All figures, by period, source and measure. Raises: BadConfiguration (permanent) where the store is damaged."""
    if not store.exists():
        return []
    try:
        figures = [Figure.model_validate(entry) for entry in orjson.loads(store.read_bytes())]
    except (OSError, ValueError) as error:
        raise BadConfiguration(
            f"{store} cannot be read ({str(error).splitlines()[0]}); restore it from a backup, or move it away and load the figures again"
        ) from error
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
