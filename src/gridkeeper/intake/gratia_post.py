"""What a Gratia probe posts: a form with a command, the records as `arg1`, who it is, and how far it is behind.

At the door only the command and `from` are looked at (the body is stored as it came); the rest is read when
the post is loaded. A form may be percent-encoded or, from very old probes, raw. Facts: the captures of a real
client, and the table of answers that clients act on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMANDS = frozenset({"multiupdate", "urlencodedupdate", "update"})
FROM_LIES_IN_BYTES = 4096  # what follows `arg1` is short
_COMMAND = re.compile(rb"(?:^|&)command=([^&]{0,64})")
_FROM = re.compile(rb"&from=([^&]{0,512})")
_AFTER_RECORDS = re.compile(rb"&(?:from|xmlfiles|tarfiles|maxpendingfiles|backlog|bundlesize)=[^&<]*(?:&|$)")
_RAW_STARTS = (b"<", b"replication|", b"history|", b"historymd5|", b"Origin|")
_MEMBER = re.compile(
    rb"<(?:[A-Za-z0-9_]+:)?(?:JobUsageRecord|UsageRecord|StorageElement|StorageElementRecord|ProbeDetails)[\s>/]"
)
_BUNDLE_MEMBER = re.compile(rb"(?:^|\|)\s*(?:replication|history|historymd5)\s*\|")


@dataclass(frozen=True)
class Post:
    """One post, decoded.

    text:    the records: an envelope, a single record or a replication bundle; "" for a ping.
    probe:   the name the probe gives itself; None where it gives none.
    figures: xmlfiles, tarfiles, maxpendingfiles, backlog, bundlesize, where they are whole numbers.
    """

    command: str
    text: bytes
    probe: str | None
    figures: Mapping[str, int]

    @property
    def is_bundle(self) -> bool:
        """Whether it is a replication bundle, in which `bundlesize` must equal the number of records."""
        return self.text.lstrip()[:16].startswith(_RAW_STARTS[1:])

    @property
    def members(self) -> int:
        """How many records (and handshakes) it seems to hold, counted by their beginnings."""
        return len((_BUNDLE_MEMBER if self.is_bundle else _MEMBER).findall(self.text))

    @property
    def backlog_records(self) -> int | None:
        """How many records wait at the probe, by its own word; None where it says nothing."""
        figures = self.figures
        if "xmlfiles" not in figures:
            return None
        return figures["xmlfiles"] + figures.get("tarfiles", 0) * figures.get("maxpendingfiles", 0)


def command_of(body: bytes) -> str:
    """The command of a post, as it was written; "" where there is none."""
    found = _COMMAND.search(body[:256]) or _COMMAND.search(body[-FROM_LIES_IN_BYTES:])
    return decoded(found[1]).decode("utf-8", "replace").replace("\0", "").strip() if found else ""


def sender_of(body: bytes) -> str | None:
    """The name that the probe gives itself (`from`)."""
    found = list(_FROM.finditer(body[-FROM_LIES_IN_BYTES:]))
    return (
        decoded(found[-1][1]).decode("utf-8", "replace").replace("\0", "").strip() or None if found else None
    )


def read_post(body: bytes) -> Post:
    """Take a post apart. Never raises for what it says: what is no form has no command and no text."""
    start = body.find(b"arg1=")
    if start > 0 and body[start - 1 : start] != b"&":
        start = -1
    command = command_of(body)
    if start < 0:
        return Post(command, b"", sender_of(body), {})
    begin = start + len(b"arg1=")
    raw = body[begin : begin + 64].lstrip().startswith(_RAW_STARTS)
    if raw:  # an & may stand in the text; what follows the records are only the fields we know
        follows = list(_AFTER_RECORDS.finditer(body, max(begin, len(body) - FROM_LIES_IN_BYTES)))
        end = follows[0].start() if follows else len(body)
    else:
        end = body.find(b"&", begin)
        end = len(body) if end < 0 else end
    text = body[begin:end] if raw else decoded(body[begin:end])
    fields = dict(
        field.split(b"=", 1) for field in (body[:start] + b"&" + body[end:]).split(b"&") if b"=" in field
    )
    figures = {
        name: int(value)
        for name in ("xmlfiles", "tarfiles", "maxpendingfiles", "backlog", "bundlesize")
        if (value := fields.get(name.encode(), b"").strip()).isdigit() and len(value) < 12
    }
    probe = decoded(fields.get(b"from", b"")).decode("utf-8", "replace").replace("\0", "").strip() or None
    is_ping = not text.lstrip().startswith(_RAW_STARTS)
    return Post(command, b"" if is_ping and command.lower() == "update" else text, probe, figures)


def without_long_members(text: bytes, most_bytes: int) -> tuple[bytes, list[bytes]]:
    """Take out the members that are longer than a limit. Returns: the text without them, and those taken out."""
    if len(text) <= most_bytes:
        return text, []
    kept, taken, place = [], [], 0
    starts = [found.start() for found in _MEMBER.finditer(text)]
    for start, following in zip(starts, [*starts[1:], len(text)], strict=True):
        if following - start <= most_bytes:
            continue
        end = text.rfind(b">", start, following) + 1
        closing = text.rfind(b"</RecordEnvelope", start, following)
        end = closing if closing > 0 else end
        if end - start > most_bytes:
            kept.append(text[place:start])
            taken.append(text[start:end].strip())
            place = end
    return b"".join([*kept, text[place:]]), taken


_HEX = np.full(256, 255, dtype=np.uint8)
for _digits in (b"0123456789abcdef", b"0123456789ABCDEF"):
    _HEX[np.frombuffer(_digits, np.uint8)] = np.arange(16, dtype=np.uint8)


def decoded(text: bytes) -> bytes:
    """Undo the percent-encoding of a form's value (`+` is a space); a `%` without two hex digits stays."""
    text = text.replace(b"+", b" ")
    if b"%" not in text:
        return text
    data = np.frombuffer(text + b"\0\0", np.uint8)
    places = np.flatnonzero(data[:-2] == ord("%"))
    high, low = _HEX[data[places + 1]], _HEX[data[places + 2]]
    good = (high < 16) & (low < 16)
    places, values = places[good], high[good] * 16 + low[good]
    made = data.copy()
    made[places] = values
    kept = np.ones(len(made), dtype=bool)
    kept[places + 1] = kept[places + 2] = False
    kept[-2:] = False
    return made[kept].tobytes()
