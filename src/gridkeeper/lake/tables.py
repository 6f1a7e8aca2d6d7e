"""Opens the lake's Delta tables, commits to them, and reads what a snapshot of them holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import deltalake
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from gridkeeper.errors import LakeUnavailable
from gridkeeper.lake.files import DataFile, described, force_commit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from deltalake.transaction import AddAction, RemoveAction

APPENDS = "appends"
CHECKPOINT_EVERY_COMMITS = 20
LOG_RETENTION = "interval 30 days"


@dataclass(frozen=True)
class Layout:
    """How a table lies in the lake: its name, its files' columns, and its partition columns (not in the files).

    pruned: columns whose bounds are kept per file.
    plain:  columns of numbers that hardly repeat, which a dictionary would only slow down.
    """

    name: str
    schema: pa.Schema
    partition_by: tuple[str, ...]
    pruned: tuple[str, ...]
    plain: tuple[str, ...] = ()

    @property
    def file_schema(self) -> pa.Schema:
        """The columns that stand in the files."""
        return pa.schema([field for field in self.schema if field.name not in self.partition_by])


class Conflict(Exception):
    """Somebody else committed first; open a new handle and do it again."""


class Handle:
    """One version of one table, and the right to commit upon that version."""

    def __init__(self, root: Path, layout: Layout) -> None:
        self.layout = layout
        self.folder = root / layout.name
        self._table = self._open()

    def _open(self) -> DeltaTable:
        try:
            return DeltaTable(str(self.folder))
        except TableNotFoundError:
            self.folder.mkdir(parents=True, exist_ok=True)
        except DeltaError as error:
            raise LakeUnavailable(f"{self.folder} cannot be opened: {error}") from error
        try:
            DeltaTable.create(
                str(self.folder),
                schema=deltalake.Schema.from_arrow(self.layout.schema),
                mode="ignore",
                partition_by=list(self.layout.partition_by),
                configuration={
                    "delta.dataSkippingStatsColumns": ",".join(self.layout.pruned),
                    "delta.checkpointInterval": str(CHECKPOINT_EVERY_COMMITS),
                    "delta.logRetentionDuration": LOG_RETENTION,
                },
            )
            force_commit(self.folder, 0, ())
        except (CommitFailedError, DeltaError):
            pass  # another process made it at the same moment; opening says whether that went well
        try:
            return DeltaTable(str(self.folder))
        except DeltaError as error:
            raise LakeUnavailable(f"{self.folder} cannot be opened: {error}") from error

    @property
    def version(self) -> int:
        """The table's version that this handle holds."""
        return int(self._table.version())

    def position(self, application: str) -> int | None:
        """The number that `application` committed last, None before its first commit."""
        found = self._table.transaction_version(application)
        return None if found is None else int(found)

    def files(self) -> list[DataFile]:
        """The files of this version."""
        actions = pa.table(self._table.get_add_actions(flatten=True))
        return described(actions)

    def commit(
        self,
        actions: Sequence[AddAction | RemoveAction],
        positions: Mapping[str, int],
        says: Mapping[str, str],
    ) -> None:
        """Commit upon this version, and force the commit onto the disk.

        Raises: Conflict (retryable) when a position moved, or a file that is removed here was removed, since
        the handle was opened; LakeUnavailable (retryable) when the log cannot be written.
        """
        before = self.version
        try:
            self._table.create_write_transaction(
                list(actions),
                "append",
                self._table.schema(),
                partition_by=list(self.layout.partition_by),
                commit_properties=CommitProperties(
                    custom_metadata=dict(says),
                    app_transactions=[Transaction(name, number) for name, number in positions.items()],
                ),
                post_commithook_properties=PostCommitHookProperties(
                    create_checkpoint=True, cleanup_expired_logs=True
                ),
            )
        except CommitFailedError as error:
            raise Conflict(str(error)) from error
        except DeltaError as error:
            raise LakeUnavailable(f"{self.folder} cannot be written: {error}") from error
        # Which number the commit got, delta-rs does not say; whatever came after the handle's version is forced.
        added = [action.path for action in actions if hasattr(action, "modification_time")]
        for entry in (self.folder / "_delta_log").glob("*.json"):
            if entry.stem.isdecimal() and int(entry.stem) > before:
                force_commit(self.folder, int(entry.stem), added)

    def table(self) -> Any:
        """The underlying Delta table, for maintenance."""
        return self._table
