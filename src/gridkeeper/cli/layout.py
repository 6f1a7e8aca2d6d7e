"""Lays out tables so that no number, date or name is ever cut: what is too wide goes into a block below, not out of sight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

GAP = 2
# Free text is folded from this width on, where a terminal is narrow; never in a pipe.
LEAST_FREE_WIDTH = 24


@dataclass(frozen=True)
class Column:
    """One column: its heading, whether it holds numbers (right-aligned), and whether it is free text, which alone may be folded."""

    name: str
    is_number: bool = False
    is_free: bool = False


def printed(target: Console, columns: Sequence[Column], rows: Sequence[Sequence[str | Text]]) -> None:
    """Print rows of cells under their headings, each as wide as it needs to be.

    A pipe or a file has no width: each row is one line. On a terminal free text is folded first; where that is not
    enough, the columns go into blocks one below the other, each beginning with the first column of text.
    """
    cells = [[_cell(cell) for cell in row] for row in rows]
    widths = [
        max(cell_len(column.name), *(cell.cell_len for cell in of_column), 0)
        for column, of_column in zip(columns, _turned(cells, len(columns)), strict=True)
    ]
    if not target.is_terminal:
        _print(target, _table(columns, cells, widths, range(len(columns))), widths)
        return
    widths = _folded(columns, widths, target.width)
    for number, block in enumerate(_blocks(columns, widths, target.width)):
        if number:
            target.print()
        _print(target, _table(columns, cells, widths, block), [widths[place] for place in block])


def printable(text: str) -> str:
    """The text on one line: a name that holds line ends or control characters shows them as escapes."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(letter: str) -> str:
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode()


def _cell(cell: str | Text) -> Text:
    return cell if isinstance(cell, Text) else Text(printable(cell))


def _turned(cells: Sequence[Sequence[Text]], columns: int) -> list[list[Text]]:
    return [[row[place] for row in cells] for place in range(columns)]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * max(0, len(widths) - 1)


def _folded(columns: Sequence[Column], widths: Sequence[int], room: int) -> list[int]:
    """The widths with free text folded as far as it must and may be."""
    found = list(widths)
    for place, column in enumerate(columns):
        too_much = _total(found) - room
        if column.is_free and too_much > 0:
            found[place] = max(min(found[place], LEAST_FREE_WIDTH), found[place] - too_much)
    return found


def _blocks(columns: Sequence[Column], widths: Sequence[int], room: int) -> list[list[int]]:
    """The columns of each block; the first column stands in all of them where it is text and leaves room for another."""
    everything = list(range(len(columns)))
    if _total(widths) <= room:
        return [everything]
    key = [0] if not columns[0].is_number and widths[0] <= room // 2 else []
    blocks: list[list[int]] = []
    block = list(key)
    for place in everything[len(key) :]:
        if len(block) > len(key) and _total([widths[one] for one in (*block, place)]) > room:
            blocks.append(block)
            block = list(key)
        block.append(place)
    return [*blocks, block]


def _table(
    columns: Sequence[Column],
    cells: Sequence[Sequence[Text]],
    widths: Sequence[int],
    block: Sequence[int],
) -> Table:
    table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    for place in block:
        table.add_column(
            Text(columns[place].name),
            justify="right" if columns[place].is_number else "left",
            no_wrap=not columns[place].is_free,
            overflow="fold",
            width=widths[place],
        )
    for row in cells:
        table.add_row(*(row[place] for place in block))
    return table


def _print(target: Console, table: RenderableType, widths: Sequence[int]) -> None:
    """Print with the room that the table needs; a terminal that has less breaks the lines, and nothing is lost."""
    before = target.width
    try:
        target.width = max(before, _total(widths) + GAP)
        target.print(table, crop=False)
    finally:
        target.width = before
