"""All tables of records, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridkeeper.records.reported import USAGE_REPORTED
from gridkeeper.records.space import STORAGE_SPACE
from gridkeeper.records.usage import USAGE_RECORDS

if TYPE_CHECKING:
    from gridkeeper.records.columns import Table

RECORD_TABLES: dict[str, Table] = {
    table.name: table for table in (USAGE_RECORDS, USAGE_REPORTED, STORAGE_SPACE)
}
