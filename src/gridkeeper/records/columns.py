"""What a column is: its name, Arrow type, unit, meaning and where the field's formats call it what."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

TEXT = pa.string()
DAY = pa.date32()
TIME = pa.timestamp("us", tz="UTC")
WHOLE = pa.int64()
COUNT = pa.int32()
REAL = pa.float64()
FLAG = pa.bool_()
BYTES = pa.binary()


@dataclass(frozen=True)
class Column:
    """One column of one table.

    unit:     "s", "us", "bytes", "J", "cores" ...; "" where a value has none.
    source:   what the field's own formats call it (Slurm, HTCondor, Gratia, APEL), for the reader who knows those.
    content:  True when the value is what the source said (and so makes a revision when it changes);
              False for how and when it came.
    personal: True when it can name a person; such columns leave the lake only where a role allows.
    """

    name: str
    type: pa.DataType
    unit: str
    meaning: str
    source: str = ""
    content: bool = True
    personal: bool = False


@dataclass(frozen=True)
class Table:
    """One table of records in the lake.

    partition:  the column whose text names a record's partition (a month, "2017-01").
    precedence: columns that decide which of several contents of one identity counts when they arrived in
                the same delivery; the greatest wins, so the order within a delivery does not matter.
    pruned:     columns whose smallest and greatest values are kept per file, to skip files unread.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    precedence: tuple[str, ...]
    pruned: tuple[str, ...]
    partition: str = "month"

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema, every column nullable."""
        return pa.schema([pa.field(column.name, column.type) for column in self.columns])

    @property
    def content(self) -> tuple[str, ...]:
        """The names of the columns that say what the source said."""
        return tuple(column.name for column in self.columns if column.content)


# Every table of records begins with these: who the record is, which version of it, when it was booked.
BOOKKEEPING = (
    Column(
        "identity", BYTES, "", "What the record is: 128 bits made of facts that never change", content=False
    ),
    Column(
        "identity_day",
        DAY,
        "day",
        "The day of the unchanging time inside the identity; 1970-01-01 if it has none",
        content=False,
    ),
    Column(
        "content_hash",
        WHOLE,
        "",
        "64 bits made of every column that says what the source said",
        content=False,
    ),
    Column("revision", COUNT, "", "0 for the first content of an identity, then 1, 2, ...", content=False),
    Column(
        "supersedes",
        FLAG,
        "",
        "False where a content came together with a better one and never counts",
        content=False,
    ),
    Column(
        "previous_start_day",
        DAY,
        "day",
        "Of a revision: the start day of the content it replaces",
        content=False,
    ),
    Column(
        "previous_end_day", DAY, "day", "Of a revision: the end day of the content it replaces", content=False
    ),
    Column(
        "load_seq",
        WHOLE,
        "",
        "Number of the commit that brought the record; grows by one with each",
        content=False,
    ),
    Column("month", TEXT, "", "Partition: the month (UTC) of the end, as 2017-01", content=False),
)

ARRIVAL = (
    Column(
        "received_at",
        TIME,
        "",
        "When the delivery came; one instant for all records of one load",
        content=False,
    ),
    Column("format", TEXT, "", "The format that read it", content=False),
    Column(
        "archive_ref", TEXT, "", "SHA-256 (hex) of the archived block of text that holds it", content=False
    ),
)
