"""A home: the folder that holds one federation's books, and where in it everything lies."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gridkeeper.errors import UserMistake

if TYPE_CHECKING:
    from pathlib import Path

FEDERATION_FILE = "federation.yaml"
HISTORY_FILE = "registry-history.json"

FEDERATION_TEMPLATE = """\
# What this home knows of its federation. Everything is optional; docs/federation.md explains each key.
federation:
  name: My federation
  grid: OSG            # the grid whose usage reports count; records of grid Local are left out of them
  week_start: monday   # the first day of the week of the production meeting

vos: []
#  - {name: cms, aliases: [uscms]}
#  - {name: fermilab, home_sites: [FNAL], experiments: [{name: nova, fqan: /fermilab/nova}]}

vo_lists: {}
#  opportunistic: [glow, hcc, osg]

resources: []
#  - {name: Utah-Kingspeak, site: Utah, facility: University of Utah, count_level: batch, owners: {utah: 100}}

mapping: []            # the first rule that fits a record names its VO, project and grid
#  - {when: {resource: Utah-Kingspeak, account: "osg-*"}, vo: osg}
"""


@dataclass(frozen=True)
class Home:
    """One federation's books on disk."""

    path: Path

    @property
    def lake(self) -> Path:
        """The folder of the Delta tables."""
        return self.path / "lake"

    @property
    def corrections(self) -> Path:
        """The folder of the files of corrections; there may be none."""
        return self.path / "corrections"

    @property
    def figures(self) -> Path:
        """The file of external figures."""
        return self.path / "figures.json"

    @property
    def reports(self) -> Path:
        """The folder where reports go by default."""
        return self.path / "reports"

    @property
    def editions(self) -> Path:
        """The folder of published reports; there may be none."""
        return self.path / "editions"

    @property
    def settings(self) -> Path:
        """The file of the settings; there may be none."""
        return self.path / "gridkeeper.toml"

    @property
    def database(self) -> Path:
        """The operational database, where the settings name no other."""
        return self.path / "gridkeeper.db"

    @property
    def spill(self) -> Path:
        """The folder for what does not fit into memory while a question is answered."""
        return self.path / "spill"

    @property
    def cache(self) -> Path:
        """The folder for what can be made again at any time, and is kept to be quick."""
        return self.path / "cache"

    @property
    def federation(self) -> Path:
        """The file that says who is who."""
        return self.path / FEDERATION_FILE

    @property
    def registry_history(self) -> Path:
        """What the registry said on earlier days, as `gridkeeper federation history --write` keeps it; there may be none."""
        return self.path / HISTORY_FILE

    def create(self) -> bool:
        """Make the home where it is not there yet; say whether it was made. Raises: UserMistake (permanent)."""
        if self.path.exists() and not self.path.is_dir():
            raise UserMistake(f"{self.path} is a file; name a folder for the home")
        made = not self.federation.exists()
        try:
            for folder in (self.path, self.lake, self.reports):
                folder.mkdir(parents=True, exist_ok=True)
            if made:
                self.federation.write_text(FEDERATION_TEMPLATE, encoding="utf-8")
                for made_path in (self.federation, self.path):
                    _force(made_path)
                with contextlib.suppress(PermissionError):  # a folder that we may enter and not list
                    _force(self.path.parent)
        except OSError as error:
            raise UserMistake(
                f"the home {self.path} cannot be made: {error.strerror}; name a folder that you may write to"
            ) from error
        return made

    def must_exist(self) -> Home:
        """Return the home. Raises: UserMistake (permanent) where there is none."""
        if not self.lake.is_dir():
            raise UserMistake(
                f"there is no home at {self.path}; make one with `gridkeeper init {self.path}`, or name another with --home"
            )
        return self


def _force(path: Path) -> None:
    """Force a file or a folder onto the disk: what is acknowledged survives a power cut only in a home that does."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
