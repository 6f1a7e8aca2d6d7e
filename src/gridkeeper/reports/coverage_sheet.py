"""Writes a report's table of coverage as a sheet of a spreadsheet: numbers as numbers, why a line is marked beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gridkeeper.reports.coverage_sentences import MARK
from gridkeeper.reports.wording import percent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gridkeeper.reports.coverage_table import Line, Table

_HEADS = (
    "Coverage", "Mark", "Sources expected", "Sources reported", "Source-days expected", "Source-days with records", "Source-days in downtime",
    "Sources too new", "Estimated core hours", "Not covered",
)  # fmt: skip
_WIDTHS = (28, 12, 8, 12, 12, 14, 14, 14, 12, 14, 90)
_HEADER_HEIGHT = 48
_RATIO, _WHOLE = "0.0%", "#,##0"
_A4 = 9


def write_coverage(book: Any, table: Table, look: Mapping[str, Any], header_colour: str) -> None:
    """Add the sheet. look: how its text looks."""
    sheet = book.add_worksheet("Coverage")
    head = book.add_format({**look, "bold": True, "text_wrap": True, "valign": "vcenter", "bg_color": header_colour, "bottom": 2})  # fmt: skip
    text, share = book.add_format(dict(look)), book.add_format({**look, "num_format": _RATIO})
    number = book.add_format({**look, "num_format": _WHOLE})
    for place, (name, width) in enumerate(zip((table.of, *_HEADS), _WIDTHS, strict=True)):
        sheet.write_string(0, place, name, head)
        sheet.set_column(place, place, width)
    sheet.set_row(0, _HEADER_HEIGHT)
    for row, line in enumerate(table.all, start=1):
        for place, value in enumerate(_values(line)):
            if isinstance(value, str):
                sheet.write_string(row, place, value, text)
            elif value is not None:
                sheet.write_number(row, place, value, share if place == 1 else number)
    if table.low:
        floors = {line.coverage.floor for line in table.low if line.coverage is not None}
        sheet.write_string(
            len(table.all) + 2, 0, f"{MARK} less than {percent(min(floors))} of the expected source-days have records", text
        )  # fmt: skip
    sheet.freeze_panes(1, 1)
    sheet.set_landscape()
    sheet.set_paper(_A4)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)


def _values(line: Line) -> tuple[str | float | None, ...]:
    """One line's cells; None where nothing is known."""
    one = line.covered
    if one is None or not line.is_known:
        return (line.name, *(None,) * 8, line.estimated, None)
    days = one.expected_days or None
    return (
        line.name, one.share, line.mark or None, one.expected or None, one.reported if one.expected else None, days,
        one.present_days if days else None, one.announced_days, one.unknown, line.estimated, line.missed or None,
    )  # fmt: skip
