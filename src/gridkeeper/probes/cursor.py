"""The cursor: how far the source was read, and the number of the last batch that holds what was read.

It moves only after its batch is safe in the outbox. Each batch carries the move that belongs to it, so a crash
between the two is mended at the next start: the move is made up for, and nothing is read or sent twice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gridkeeper.probes.durable import write_durably
from gridkeeper.probes.errors import StateDamaged
from gridkeeper.probes.seen import Seen

if TYPE_CHECKING:
    from pathlib import Path

CURSOR_FILE, SEEN_FILE = "cursor.json", "seen.bin"
_VERSION = 1


@dataclass
class Cursor:
    """How far a source was read.

    number: that of the last batch put into the outbox; 0 for none. It only grows, whatever the clock does.
    source: what the source's reader keeps, as JSON.
    seen:   what the source's reader shipped and may meet again.
    """

    folder: Path
    probe: str
    kind: str
    number: int = 0
    source: dict[str, Any] = field(default_factory=dict)
    seen: Seen = field(default_factory=lambda: Seen(1))

    @classmethod
    def load(cls, folder: Path, probe: str, kind: str, seen_limit: int) -> Cursor:
        """Read the cursor, or begin one.

        Raises: StateDamaged (permanent) for a file that is not this probe's cursor.
        """
        path = folder / CURSOR_FILE
        seen = Seen.load(folder / SEEN_FILE, seen_limit)
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
            number, source = int(said["number"]), dict(said["source"])
            owner = (said["version"], said["probe"], said["kind"])
        except FileNotFoundError:
            return cls(folder, probe, kind, seen=seen)
        except OSError as error:
            raise StateDamaged(
                f"{path} cannot be read: {error.strerror}; give the folder to the probe's account"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise StateDamaged(
                f"{path} is damaged; restore it from a backup, or remove it: then all is read and sent "
                "again, and the collector counts each job once"
            ) from error
        if owner != (_VERSION, probe, kind):
            raise StateDamaged(
                f"{folder} belongs to the probe {owner[1]} of kind {owner[2]} (version {owner[0]}), not to "
                f"{probe} of kind {kind}; give each probe a state_dir of its own"
            )
        return cls(folder, probe, kind, number, source, seen)

    def save(self) -> None:
        """Write the cursor. Raises: DiskRefused (retryable); then it stands on disk where it stood."""
        self.seen.save(self.folder / SEEN_FILE)
        said = {
            "version": _VERSION,
            "probe": self.probe,
            "kind": self.kind,
            "number": self.number,
            "source": self.source,
        }
        text = json.dumps(said, indent=1, sort_keys=True)
        write_durably(self.folder / CURSOR_FILE, text.encode())
