"""What the forms in XML share: parsing that fetches nothing, and entries read one by one, so that a bad one is refused alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree

from gridkeeper.errors import UserMistake
from gridkeeper.federation.bounded_xml import TooManyMarks, read_xml
from gridkeeper.federation.downtimes.model import Place, Reading, Refusal, UnreadableDowntimes

if TYPE_CHECKING:
    from collections.abc import Callable

    from gridkeeper.federation.downtimes.model import Row


def parsed(data: bytes, file: str) -> etree._Element:
    """Parse XML with nothing fetched and no entity followed. Raises: UnreadableDowntimes (permanent)."""
    try:
        return read_xml(data)
    except TooManyMarks as error:
        raise UnreadableDowntimes(f"{file} holds {error}; look whether it is the right file") from error
    except etree.XMLSyntaxError as error:
        raise UnreadableDowntimes(
            f"{file} is no XML: {error.msg}; fetch it again, or look whether it is the right file"
        ) from error


def entries(
    root: etree._Element, tag: str, file: str, made: Callable[[etree._Element, Place], Row]
) -> Reading:
    """Every element of a tag as a row. made: makes it; what it refuses with UserMistake is refused alone."""
    rows: list[Row] = []
    refused: list[Refusal] = []
    for entry in root.iter(tag):
        line: object = entry.sourceline
        place = Place(file, line if isinstance(line, int) else 0)
        try:
            rows.append(made(entry, place))
        except UserMistake as error:
            refused.append(Refusal(place, str(error)))
    return Reading(tuple(rows), tuple(refused))
