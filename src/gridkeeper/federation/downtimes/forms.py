"""Finds out in which form a file or a folder holds downtimes, and reads it."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

from gridkeeper.federation.downtimes import calendar, cric, gocdb, osg_xml, osg_yaml
from gridkeeper.federation.downtimes.model import Reading, UnreadableDowntimes
from gridkeeper.federation.downtimes.xml_entries import parsed

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES = 256 * 1024 * 1024
ENDING = osg_yaml.ENDING
_KNOWN = "topology YAML, rgdowntime XML, GOCDB XML, AGIS or CRIC JSON, iCal"


def read_path(path: Path, limit: int = MOST_BYTES) -> Reading:
    """Read a file of any known form, or all in a folder: a topology's `*_downtime.yaml`, else each file of a known ending.

    Raises: UnreadableDowntimes (permanent) that names the file and the forms.
    """
    if not path.exists():
        raise UnreadableDowntimes(
            f"there is nothing at {path}; name a file of downtimes ({_KNOWN}), or a folder of them"
        )
    if not path.is_dir():
        return read_bytes(_bytes(path, limit), str(path))
    files = sorted(path.rglob(f"*{ENDING}")) or sorted(
        each
        for each in path.rglob("*")
        if each.suffix in (".xml", ".json", ".ics") or each.name.endswith(".xml.gz")
    )
    if not files:
        raise UnreadableDowntimes(f"{path} holds no downtimes: neither *{ENDING}, nor *.xml, *.json or *.ics")
    return Reading.joined(read_bytes(_bytes(each, limit), str(each.relative_to(path))) for each in files)


def read_bytes(data: bytes, file: str) -> Reading:
    """Read a document of any known form, told by how it begins. Raises: UnreadableDowntimes (permanent)."""
    start = data.removeprefix(b"\xef\xbb\xbf").lstrip()[:512]
    if start.startswith(b"<"):
        root = parsed(data, file)
        if root.tag == "Downtimes":
            return osg_xml.read_parsed(root, file)
        if root.tag == "results":
            return gocdb.read_parsed(root, file)
        raise UnreadableDowntimes(
            f"{file} is XML with the root {root.tag}; expected Downtimes or results ({_KNOWN})"
        )
    if start.startswith(b"BEGIN:VCALENDAR"):
        return calendar.read(data.removeprefix(b"\xef\xbb\xbf"), file)
    if start.startswith((b"{", b"[")):
        return cric.read(data.removeprefix(b"\xef\xbb\xbf"), file)
    return osg_yaml.read(data, file)


def _bytes(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
            if data.startswith(b"\x1f\x8b"):
                stream.seek(0)
                with gzip.GzipFile(fileobj=stream) as unpacked:
                    data = unpacked.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableDowntimes(f"{path} cannot be read: {error}") from error
    if len(data) > limit:
        raise UnreadableDowntimes(f"{path} has more than {limit:,} bytes; look whether it is the right file")
    return data
