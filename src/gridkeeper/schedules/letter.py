"""Turns a report's page into what mail programs show: pictures for drawings, plain colours, tables; and into plain text.

Mail programs run no script, know no variables in style sheets and seldom draw SVG; some know neither grids nor
transparency. What they do not know is said here in older words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lxml import html

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lxml.html import HtmlElement

_NOT_IN_MAIL = ("script", "link", "iframe", "object", "embed", "form", "base", "noscript", "template")
_WHITE = (255, 255, 255)
_ROOT = re.compile(r":root\s*\{([^}]*)\}")
_AT_RULE = re.compile(r"@(?:media|page|supports)[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}")
_DECLARED = re.compile(r"--([\w-]+)\s*:\s*([^;]+);")
_USED = re.compile(r"var\(--([\w-]+)\)")
_UNKNOWN = re.compile(r"[\w-]+\s*:[^;{}]*(?:var|clamp|minmax|max-content|sticky|rgba)\b[^;{}]*;?")
_COLOUR = re.compile(r"rgba?\(\s*(\d+),\s*(\d+),\s*(\d+)(?:,\s*([\d.]+))?\s*\)")
# What stands for the layouts that not every mail program knows.
_STYLE_OF_LETTERS = """
body { margin: 0; padding: 16px; }
.wide { border: 0; overflow: visible; max-height: none; }
table.row-of-tiles { margin: 0 0 16px; border-spacing: 8px 0; }
table.row-of-tiles td { text-align: left; white-space: normal; vertical-align: top; border: 1px solid #d5dde5; padding: 8px 12px; background: #f1f4f7; }
table.row-of-tiles span, table.row-of-tiles small { display: block; color: #5d6b78; font-size: 12px; }
table.row-of-tiles b { display: block; font-size: 22px; }
.card, .side .wide { margin: 0 0 12px; }
dt { margin: 6px 0 0; } dd { margin: 0 0 0 16px; }
"""


@dataclass(frozen=True)
class Picture:
    """A plot as mail shows it: its name, what it shows in a sentence, PNG."""

    name: str
    says: str
    png: bytes
    width: int


def letter(page: bytes, pictures: Sequence[tuple[str, Picture]]) -> str:
    """The page as an HTML part. pictures: address (as `cid:...`) and picture, in the page's order.

    Source: a page of `reports`; what it holds of scripts or addresses to be fetched is taken out.
    """
    tree = _tree(page)
    for element in [*tree.iter(*_NOT_IN_MAIL), *tree.xpath("//meta[@http-equiv]")]:
        element.drop_tree()
    for element in tree.iter():
        for name in [name for name in element.attrib if name.lower().startswith("on")]:
            del element.attrib[name]
    variables = _restyle(tree)
    _hang(tree, pictures)
    _as_table(tree)
    for row in tree.iter("tr"):
        row.set("align", "right")
    for cell in tree.xpath("//th[1]|//td[@class='name' or @class='free']"):
        cell.set("align", "left")
    for table in tree.iter("table"):
        table.attrib.update({"cellpadding": "4", "cellspacing": "0", "border": "0"})
    for cell in tree.xpath("//*[contains(@style, '--part')]"):
        cell.set("style", _shade(cell.get("style", ""), variables))
    text: str = html.tostring(tree, encoding="unicode", doctype="<!doctype html>")
    return text


def as_text(page: bytes) -> str:
    """The page as plain text, for a report that has no text of its own: every row of a table is a paragraph of names and numbers."""
    tree = _tree(page)
    lines: list[str] = []
    for element in tree.body.iter("h1", "h2", "h3", "p", "li", "dt", "table"):
        if element.tag == "table":
            lines += ["", *_rows(element)]
            continue
        said = _words(element)
        match element.tag:
            case "h1" | "h2" | "h3":
                lines += ["", said, ("=" if element.tag == "h1" else "-") * len(said)]
            case "li":
                lines.append(f"- {said}")
            case "dt":
                meant = element.getnext()
                lines.append(f"- {said}: {'' if meant is None else _words(meant)}")
            case _:
                lines += ["", said]
    return "\n".join(lines).strip() + "\n"


def _rows(table: HtmlElement) -> Iterator[str]:
    heads = [_words(cell) for cell in table.xpath("./thead/tr[last()]/*")]
    for row in table.xpath("./tbody/tr|./tfoot/tr|./tr"):
        cells = [_words(cell) for cell in row]
        named = len(cells) == len(heads)
        told = [
            f"{heads[place]} {cell}" if named else cell
            for place, cell in enumerate(cells[1:], start=1)
            if cell
        ]
        yield f"{cells[0]}: {'; '.join(told)}" if cells and cells[0] else "; ".join(told)


def _tree(page: bytes) -> HtmlElement:
    return html.document_fromstring(page, parser=html.HTMLParser(encoding="utf-8"))


def _words(element: HtmlElement) -> str:
    return " ".join(element.text_content().split())


def _restyle(tree: HtmlElement) -> dict[str, str]:
    """Say colours in full, take out what is for screens that can be dark; returns the variables that were declared."""
    styles = [_AT_RULE.sub("", style.text or "") for style in tree.iter("style")]
    declared = [found for text in styles for root in _ROOT.findall(text) for found in _DECLARED.findall(root)]
    variables = {name: value.strip() for name, value in declared}
    for style, text in zip(tree.iter("style"), styles, strict=True):
        plain = _USED.sub(lambda used: variables.get(used[1], used[0]), _ROOT.sub("", text))
        style.text = _UNKNOWN.sub("", _COLOUR.sub(_opaque, plain)) + _STYLE_OF_LETTERS
    head = tree.find("head")
    if head is not None:
        head.insert(1, html.Element("meta", {"name": "color-scheme", "content": "light"}))
    return variables


def _hang(tree: HtmlElement, pictures: Sequence[tuple[str, Picture]]) -> None:
    """Put pictures where drawings were; a drawing that has none is taken out."""
    drawings = [*tree.iter("svg")]
    for place, drawing in enumerate(drawings):
        if place < len(pictures):
            address, picture = pictures[place]
            image = html.Element(
                "img", {"src": address, "alt": picture.says, "width": str(picture.width), "border": "0"}
            )
            image.set("style", f"display: block; width: 100%; max-width: {picture.width}px; height: auto;")
            drawing.addprevious(image)
        drawing.drop_tree()


def _as_table(tree: HtmlElement) -> None:
    """Tiles side by side as a table, which every mail program knows."""
    for tiles in tree.xpath("//div[@class='tiles']"):
        tiles.tag = "table"
        tiles.attrib.clear()
        tiles.attrib.update({"class": "row-of-tiles", "role": "presentation"})
        row = html.Element("tr")
        for tile in list(tiles):
            tile.tag = "td"
            tile.attrib.clear()
            row.append(tile)
        tiles.append(row)


def _shade(style: str, variables: Mapping[str, str]) -> str:
    """The shading of a cell, which a page says as a part, as a colour."""
    part = re.search(r"--part:\s*([\d.]+)", style)
    heat = variables.get("heat")
    if part is None or heat is None:
        return ""
    return "background: " + _COLOUR.sub(_opaque, f"rgba({heat}, {part[1]})")


def _opaque(found: re.Match[str]) -> str:
    part = float(found[4]) if found[4] else 1.0
    mixed = (round(part * int(found[place + 1]) + (1 - part) * under) for place, under in enumerate(_WHITE))
    return "#" + "".join(f"{number:02x}" for number in mixed)
