"""Writes the Site-VO matrix as a spreadsheet: sums are formulas that carry their exact values; a second sheet says what they mean."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import xlsxwriter
from xlsxwriter.utility import xl_col_to_name, xl_rowcol_to_cell

from gridkeeper import __version__
from gridkeeper.reports.coverage_sentences import MARK
from gridkeeper.reports.coverage_sheet import write_coverage
from gridkeeper.reports.wording import NOT_AVAILABLE

if TYPE_CHECKING:
    from gridkeeper.reports.site_vo_sheet import Content, Value

HOURS, RATIO, CHANGE = "#,##0", "0.0%", "+0.0%;-0.0%;0.0%"
# A site that is badly covered is shown with a mark; the cell's text stays its name, which programs look for.
_MARKED = f'@" {MARK}"'
_NOTE_SIZE = {"x_scale": 3, "y_scale": 1.2}
_NUMBERS = {"hours": HOURS, "ratio": RATIO, "change": CHANGE}
_SITE_WIDTH = (12, 34)
_VO_WIDTH, _SUM_WIDTH = 11, 14
_ABOUT_WIDTHS = (20, 110)
_HEADER_HEIGHT = 48
_A3, _A4 = 8, 9
_COLUMNS_OF_A4 = 18
_FONT = "Calibri"
_INK, _HEADER, _FOOT, _OPPORTUNISTIC, _LINE = "#1F2933", "#DCE6F0", "#EEF2F6", "#F3F7EE", "#8FA3B5"


def workbook(content: Content) -> bytes:
    """The whole file. The same content gives the same bytes."""
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True, "default_date_format": "yyyy-mm-dd"})
    book.set_calc_mode("auto")
    period = content.matrix.period
    book.set_properties(
        {
            "title": content.title,
            "subject": "Core hours of each site by VO, count level batch",
            "author": content.federation,
            "company": content.federation,
            "category": "Accounting",
            "keywords": f"core hours, sites, VOs, {period.first} to {period.last}",
            "comments": content.invented or f"Made by Gridkeeper {__version__} of {content.trace.table}",
            "created": content.request.as_of.replace(tzinfo=None),
        }
    )
    name = f"Site-VO {period.first:%b %Y}" if period.is_month else f"Site-VO {period.first} to {period.last}"
    _Matrix(book, name[:31], content).write()
    _about(book, content)
    if content.covered.is_told:
        write_coverage(
            book, content.covered, {"font_name": _FONT, "font_size": 11, "font_color": _INK}, _HEADER
        )
    book.close()
    return buffer.getvalue()


class _Matrix:
    """The first sheet. Row 0 is the header; sites follow; then the total, the period before, and the change."""

    def __init__(self, book: Any, name: str, content: Content) -> None:
        self._book, self._content, self._table = book, content, content.sheet
        self._sheet = book.add_worksheet(name)
        self._sites = len(self._table.rows)
        self._opportunistic = len(content.matrix.opportunistic)
        self._formats: dict[tuple[Any, ...], Any] = {}

    def write(self) -> None:
        """Write everything, and how it looks on the screen and on paper."""
        self._header()
        for number, row in enumerate((*self._table.rows, *self._table.foot)):
            for place in range(len(self._table.columns)):
                self._cell(number + 1, place, row[place])
        for number, row in enumerate((*self._table.rows, *self._table.foot), start=1):
            if why := self._content.covered.why(str(row[0])):
                self._sheet.write_comment(number, 0, why, {"font_name": _FONT, **_NOTE_SIZE})
        self._view()
        self._print()

    def _header(self) -> None:
        for place, column in enumerate(self._table.columns):
            self._sheet.write_string(0, place, column.heading, self._header_format(place))
        self._sheet.set_row(0, _HEADER_HEIGHT)

    def _cell(self, row: int, place: int, value: Value) -> None:
        style = self._format(row, place)
        formula = self._formula(row, place)
        if formula is not None:
            self._sheet.write_formula(row, place, formula, style, value)
        elif value is None:
            self._sheet.write_blank(row, place, None, style)
        elif isinstance(value, str):
            self._sheet.write_string(row, place, value, style)
        else:
            self._sheet.write_number(row, place, value, style)

    def _formula(self, row: int, place: int) -> str | None:
        """The formula of a cell that follows from others; None for what was counted, and where a period has no records."""
        if place == 0 or not self._sites or not self._content.matrix.all.now:
            return None
        kinds = self._kinds()
        foot = row - self._sites - 1
        if foot == 2:
            return (
                _changed((row - 1, place), (row - 2, place))
                if kinds[place] not in ("ratio", "before", "change")
                else None
            )
        if foot == 1:
            return None if kinds[place] != "ratio" else self._ratio(row)
        if kinds[place] == "vo" or kinds[place] == "before":
            return (
                None if foot < 0 or not self._before(kinds[place]) else _sum((1, place), (self._sites, place))
            )
        if kinds[place] == "change":
            at = kinds.index("before")
            return _changed((row, at), (row, at - 2))
        if kinds[place] == "ratio":
            return self._ratio(row)
        return self._row_sum(row, kinds[place])

    def _before(self, kind: str) -> bool:
        return kind == "vo" or bool(self._content.matrix.all.before)

    def _kinds(self) -> list[str]:
        others = len(self._content.matrix.others)
        return [
            "site",
            "total",
            *["vo"] * self._opportunistic,
            "opportunistic",
            "ratio",
            "before",
            "change",
            *["vo"] * others,
        ]

    def _row_sum(self, row: int, kind: str) -> str | None:
        at = 2 + self._opportunistic
        if kind == "opportunistic":
            return _sum((row, 2), (row, at - 1)) if self._opportunistic else None
        last = len(self._table.columns) - 1
        part = xl_rowcol_to_cell(row, at)
        return f"{_sum((row, at + 4), (row, last))}+{part}" if last >= at + 4 else f"={part}"

    def _ratio(self, row: int) -> str:
        part, total = xl_rowcol_to_cell(row, 2 + self._opportunistic), xl_rowcol_to_cell(row, 1)
        return f'=IF(N({total})=0,"{NOT_AVAILABLE}",{part}/{total})'

    def _header_format(self, place: int) -> Any:
        return self._made(
            bold=True, text_wrap=True, valign="vcenter", align="left" if place == 0 else "right",
            bg_color=_HEADER, bottom=2, bottom_color=_LINE, font_color=_INK,
        )  # fmt: skip

    def _format(self, row: int, place: int) -> Any:
        foot = row - self._sites - 1
        column = self._table.columns[place]
        look: dict[str, Any] = {"font_color": _INK}
        if column.kind == "site":
            look |= {"align": "left"}
            name = (*self._table.rows, *self._table.foot)[row - 1][0]
            if self._content.covered.mark(str(name)):
                look |= {"num_format": _MARKED}
        else:
            look |= {
                "align": "right",
                "indent": 1,
                "num_format": CHANGE if foot == 2 else _NUMBERS[column.kind],
            }
        if foot >= 0:
            look |= {"bg_color": _FOOT, "bold": foot == 0}
        elif 2 <= place <= 5 + self._opportunistic:
            look |= {"bg_color": _OPPORTUNISTIC}
        if foot == 0:
            look |= {"top": 2, "top_color": _LINE}
        if place == 0:
            look |= {"right": 1, "right_color": _LINE}
        if place == 1:
            look["bold"] = foot <= 0
        return self._made(**look)

    def _made(self, **look: Any) -> Any:
        key = tuple(sorted(look.items()))
        if key not in self._formats:
            self._formats[key] = self._book.add_format({"font_name": _FONT, "font_size": 11} | look)
        return self._formats[key]

    def _view(self) -> None:
        sheet = self._sheet
        sheet.freeze_panes(1, 1)
        longest = max([len(str(row[0])) for row in (*self._table.rows, *self._table.foot)], default=0)
        sheet.set_column(0, 0, min(max(longest + 1, _SITE_WIDTH[0]), _SITE_WIDTH[1]))
        for place, column in enumerate(self._table.columns[1:], start=1):
            longest = len(column.heading) + 2 if column.vo else 0
            sheet.set_column(place, place, max(longest, _VO_WIDTH if column.vo else _SUM_WIDTH))
        everywhere = f"A1:{xl_col_to_name(len(self._table.columns) - 1)}{self._sites + 4}"
        sheet.ignore_errors(
            {"formula_range": everywhere, "formula_differs": everywhere, "number_stored_as_text": everywhere}
        )

    def _print(self) -> None:
        sheet = self._sheet
        sheet.set_landscape()
        sheet.set_paper(_A3 if len(self._table.columns) > _COLUMNS_OF_A4 else _A4)
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(0)
        sheet.repeat_columns(0)
        sheet.print_area(0, 0, self._sites + 3, len(self._table.columns) - 1)
        sheet.set_margins(left=0.4, right=0.4, top=0.8, bottom=0.6)
        title = _printed(self._content.title)
        sheet.set_header(f'&L&"{_FONT},Bold"&12{title}&R{_printed(self._content.federation)}')
        note = self._content.invented or "Core hours, count level batch; see the sheet About"
        if self._content.covered.low:
            note += f"; {MARK} badly covered, see the sheet Coverage"
        sheet.set_footer(f"&L{_printed(note)}&RPage &P of &N")


def _printed(text: str) -> str:
    """Text of a printed header: an ampersand begins a code there."""
    return text.replace("&", "&&")


def _sum(first: tuple[int, int], last: tuple[int, int]) -> str:
    return f"=SUM({xl_rowcol_to_cell(*first)}:{xl_rowcol_to_cell(*last)})"


def _changed(old: tuple[int, int], new: tuple[int, int]) -> str:
    before, now = xl_rowcol_to_cell(*old), xl_rowcol_to_cell(*new)
    return f'=IF(N({before})=0,"{NOT_AVAILABLE}",({now}-{before})/{before})'


def _about(book: Any, content: Content) -> None:
    """The second sheet: what the numbers are."""
    sheet = book.add_worksheet("About")
    title = book.add_format({"font_name": _FONT, "bold": True, "font_size": 14, "font_color": _INK})
    key = book.add_format({"font_name": _FONT, "bold": True, "valign": "top", "font_color": _INK})
    text = book.add_format({"font_name": _FONT, "text_wrap": True, "valign": "top", "font_color": _INK})
    sheet.set_column(0, 0, _ABOUT_WIDTHS[0])
    sheet.set_column(1, 1, _ABOUT_WIDTHS[1])
    sheet.hide_gridlines(2)
    sheet.write_string(0, 0, content.title, title)
    rows = {"Federation": content.federation}
    if content.invented:
        rows["Sample"] = content.invented
    rows |= dict(content.about)
    rows["Made"] = f"{content.request.as_of:%Y-%m-%d %H:%M} UTC by Gridkeeper {__version__}"
    for number, (name, sentence) in enumerate(rows.items(), start=2):
        sheet.write_string(number, 0, name, key)
        sheet.write_string(number, 1, sentence, text)
        if len(sentence) > _ABOUT_WIDTHS[1]:
            sheet.set_row(number, 15 * (1 + len(sentence) // _ABOUT_WIDTHS[1]))
    sheet.set_landscape()
    sheet.set_paper(_A4)
    sheet.fit_to_pages(1, 0)
