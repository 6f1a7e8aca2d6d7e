"""Opens the lake's Delta tables, commits to them, and reads what a snapshot of them holds."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import deltalake
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction

from gridkeeper.errors import LakeDamaged, LakeUnavailable
from gridkeeper.lake.files import DataFile, described, discard, force_commits
from gridkeeper.lake.wholeness import damaged_entry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from deltalake.transaction import RemoveAction

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


_read_before: dict[Path, dict[str, DataFile]] = {}  # the files of each table's version that was listed last


class Conflict(Exception):
    """Somebody else committed first; open a new handle and do it again."""


class Handle:
    """One version of one table, and the right to commit upon that version."""

    def __init__(self, root: Path, layout: Layout) -> None:
        self.layout = layout
        self.folder = root / layout.name
        self._table = self._open()
        self._files: list[DataFile] | None = None

    def _open(self) -> DeltaTable:
        try:
            return DeltaTable(str(self.folder))
        except TableNotFoundError:
            pass
        except (DeltaError, OSError) as error:
            raise self._unopened(error) from error
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
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
            force_commits(self.folder, 0)
        except (DeltaError, OSError):
            pass  # another process made it at the same moment; opening says whether that went well
        try:
            return DeltaTable(str(self.folder))
        except (DeltaError, OSError) as error:
            raise self._unopened(error) from error

    def _unopened(self, error: Exception) -> LakeUnavailable:
        """Why the table cannot be opened: an entry of its log is damaged, which stays so, or something that may pass."""
        damaged = damaged_entry(self.folder)
        if damaged is not None:
            path, why = damaged
            return LakeDamaged(
                f"{path}, an entry of the log of the table {self.layout.name}, {why}; restore it from a backup "
                "(docs/operating.md; without one, `gridkeeper lake verify` says what else can be done)"
            )
        return LakeUnavailable(f"{self.folder} cannot be opened: {_one_line(error)}")

    @property
    def version(self) -> int:
        """The table's version that this handle holds."""
        return int(self._table.version())

    @property
    def table_id(self) -> str:
        """The name that the table gave itself when it was made; one that is made anew has another."""
        return str(self._table.metadata().id)

    def position(self, application: str) -> int | None:
        """The number that `application` committed last, None before its first commit."""
        found = self._table.transaction_version(application)
        return None if found is None else int(found)

    def files(self) -> list[DataFile]:
        """The files of this version."""
        if self._files is None:
            actions = pa.table(self._table.get_add_actions(flatten=True))
            # Of thousands of files a version of the table shares all but a few with the one before.
            found = described(actions, _read_before.get(self.folder, {}))
            _read_before[self.folder] = found
            self._files = list(found.values())
        return self._files

    def commit(
        self,
        actions: Sequence[AddAction | RemoveAction],
        positions: Mapping[str, int],
        says: Mapping[str, str],
    ) -> None:
        """Commit upon this version, and force the commit onto the disk.

        Raises: Conflict (retryable) when a position moved, or a file that is removed here was removed, since
        the handle was opened; LakeUnavailable (retryable) when the log cannot be written. The added files are
        removed in both cases.
        """
        before, self._files = self.version, None
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
            discard(self.folder, actions)
            raise Conflict(str(error)) from error
        except (DeltaError, OSError) as error:
            if not self._was_committed(before, actions):
                discard(self.folder, actions)
                raise LakeUnavailable(f"{self.folder} cannot be written: {_one_line(error)}") from error
            # The commit stands; what failed came after it, such as a checkpoint, which the next one makes again.
        # Which number the commit got, delta-rs does not say; whatever came after the handle's version is forced.
        # So is that version itself: who made it may have died before it was forced.
        self.make_durable(before)

    def make_durable(self, version: int | None = None) -> None:
        """Force the commits from `version` (else the handle's own) on onto the disk. Raises: LakeUnavailable (retryable)."""
        try:
            force_commits(self.folder, self.version if version is None else version)
        except OSError as error:
            raise LakeUnavailable(f"{self.folder} cannot be written: {error.strerror}") from error

    def _was_committed(self, before: int, actions: Sequence[AddAction | RemoveAction]) -> bool:
        """Whether a later entry of the log names a file of these actions (their names are nobody else's)."""
        names = [action.path.rpartition("/")[2] for action in actions if isinstance(action, AddAction)]
        for entry in (self.folder / "_delta_log").glob("*.json"):
            if entry.stem.isdecimal() and int(entry.stem) > before:
                text = entry.read_text(encoding="utf-8")
                if any(name in text for name in names):
                    return True
        return False

    def table(self) -> Any:
        """The underlying Delta table, for maintenance."""
        return self._table


def newest_version(folder: Path) -> int:
    """The newest version of the table in `folder`, found without opening it; -1 where there is none."""
    try:
        names = os.listdir(folder / "_delta_log")  # noqa: PTH208 (thousands of names; no path object for each)
    except FileNotFoundError:
        return -1
    return max(
        (int(name[:20]) for name in names if name.endswith(".json") and name[:20].isdecimal()), default=-1
    )


def _one_line(error: Exception) -> str:
    """What went wrong first and last, of an error that tells its causes in lines of its own, drawn with arrows."""
    told = re.split(r"\n\s*0: ", str(error), maxsplit=1)[0]  # behind it, the places in delta-rs's own code
    lines = [re.sub(r"\x1b\[[0-9;]*m|↳", "", line).strip() for line in told.splitlines()]
    return ": ".join(line for line in lines if line)
