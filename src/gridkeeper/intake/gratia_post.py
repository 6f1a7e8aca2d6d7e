"""What a Gratia probe posts: a form with a command, the records as `arg1`, who it is, and how far it is behind.

At the door only the command and `from` are looked at (the body is stored as it came); the rest is read when
the post is loaded. Both look at the same fields, so that nobody is let in under one name and heard under another.
A form may be percent-encoded or, from very old probes, raw. Facts: the captures of a real client, and the table of
answers that clients act on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMANDS = frozenset({"multiupdate", "urlencodedupdate", "update"})
FIELDS_BYTES = 4096  # what stands before and after `arg1` is short: of more only so much, at either end
MOST_PING_BYTES = 64
MOST_COMMAND_BYTES, MOST_PROBE_BYTES = 64, 512
_AFTER_RECORDS = re.compile(rb"&(?:from|xmlfiles|tarfiles|maxpendingfiles|backlog|bundlesize)=[^&<]*(?:&|$)")
_MARK = re.compile(rb"\s*\xef\xbb\xbf")  # UTF-8's byte order mark
_BUNDLE_START = re.compile(rb"\s*(?:replication|history|historymd5|Origin)\s*\|")
_RAW_START = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*(?:<|(?:replication|history|historymd5|Origin)\s*\|)")
_MEMBER = re.compile(
    rb"<(?:[A-Za-z0-9_]+:)?(?:JobUsageRecord|UsageRecord|StorageElement|StorageElementRecord|ProbeDetails)[\s>/]"
)
_BUNDLE_MEMBER = re.compile(rb"(?:^|\|)\s*(?:replication|history|historymd5)\s*\|")


@dataclass(frozen=True)
class Post:
    """One post, decoded.

    text:    the records: an envelope, a single record or a replication bundle; "" for a ping. What is none of these
             is here, too: a format reads it or refuses it, and what it refuses is kept.
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
        return _BUNDLE_START.match(self.text) is not None

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

    @property
    def backlog_jobs(self) -> int | None:
        """How many jobs wait to become records at the probe, as it estimates; None where it says nothing."""
        return self.figures.get("backlog")


def command_of(body: bytes) -> str:
    """The command of a post, as it was written; "" where there is none."""
    return _word(_fields(body, _place_of_records(body)).get(b"command", b""), MOST_COMMAND_BYTES)


def sender_of(body: bytes) -> str | None:
    """The name that the probe gives itself (`from`), wherever in the form it stands."""
    return _probe_in(_fields(body, _place_of_records(body)))


def read_post(body: bytes) -> Post:
    """Take a post apart. Never raises for what it says: what is no form has no command and no text."""
    place = _place_of_records(body)
    fields = _fields(body, place)
    command, probe = _word(fields.get(b"command", b""), MOST_COMMAND_BYTES), _probe_in(fields)
    if place is None:  # a form without records: whatever else it holds is not taken for them unread
        told = decoded(body)
        is_ping = command.lower() == "update" and b"<" not in told and b"|" not in told
        return Post(command, b"" if is_ping and len(body) <= FIELDS_BYTES else body, probe, {})
    begin, end, is_raw = place
    text = body[begin:end] if is_raw else decoded(body[begin:end])
    if mark := _MARK.match(text):
        text = text[mark.end() :]
    figures = {
        name: int(value)
        for name in ("xmlfiles", "tarfiles", "maxpendingfiles", "backlog", "bundlesize")
        if (value := fields.get(name.encode(), b"").strip()).isdigit() and len(value) < 12
    }
    return Post(command, b"" if command.lower() == "update" and _is_ping(text) else text, probe, figures)


def _place_of_records(body: bytes) -> tuple[int, int, bool] | None:
    """Where the value of `arg1` begins and ends, and whether it is raw; None where there is no `arg1`."""
    found = 0 if body.startswith(b"arg1=") else body.find(b"&arg1=") + 1
    if not found and not body.startswith(b"arg1="):
        return None
    begin = found + len(b"arg1=")
    if not _RAW_START.match(body, begin):
        end = body.find(b"&", begin)
        return begin, len(body) if end < 0 else end, False
    # An & may stand in the text; what follows the records are only the fields we know.
    follows = _AFTER_RECORDS.search(body, max(begin, len(body) - FIELDS_BYTES))
    return begin, follows.start() if follows else len(body), True


def _fields(body: bytes, place: tuple[int, int, bool] | None) -> dict[bytes, bytes]:
    """The fields beside the records; of two of one name the last."""
    told = body if place is None else body[: place[0] - len(b"arg1=")] + b"&" + body[place[1] :]
    if len(told) > 2 * FIELDS_BYTES:
        told = told[:FIELDS_BYTES] + b"&" + told[-FIELDS_BYTES:]
    return dict(field.split(b"=", 1) for field in told.split(b"&") if b"=" in field)


def _probe_in(fields: Mapping[bytes, bytes]) -> str | None:
    return _word(fields.get(b"from", b""), MOST_PROBE_BYTES) or None


def _word(value: bytes, most_bytes: int) -> str:
    return decoded(value[:most_bytes]).decode("utf-8", "replace").replace("\0", "").strip()


def _is_ping(text: bytes) -> bool:
    """Whether a text is but a question whether anybody is there: short, and with nothing that could be a record."""
    return len(text) <= MOST_PING_BYTES and b"<" not in text and b"|" not in text


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
