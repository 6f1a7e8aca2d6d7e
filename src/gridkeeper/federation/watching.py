"""A home's federation as its files say it now: read again when one of them changes, and not before."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from gridkeeper.errors import BadConfiguration
from gridkeeper.federation.reading import read_known
from gridkeeper.federation.topology.loading import read_topology, stamp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gridkeeper.config import Home
    from gridkeeper.federation.model import Registry
    from gridkeeper.federation.reading import Known
    from gridkeeper.federation.topology.loading import Loaded

LOOK_EVERY_S = 2.0
log = logging.getLogger("federation")


class Watch:
    """Looks at `federation.yaml` and the registry's history each time, at a topology's many files once in LOOK_EVERY_S."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._reading, self._joining = threading.Lock(), threading.Lock()
        self._looked, self._stamp = 0.0, ""
        self._loaded: Loaded | None = None
        self._of: tuple[Loaded, list[tuple[int, int, int]]] | None = None
        self._known: Known | None = None
        self._fault: str | None = None

    def loaded(self) -> Loaded:
        """The topology; while one asker reads it anew, others have it as it was. Blocks."""
        held = self._loaded
        if held is not None and time.monotonic() - self._looked < LOOK_EVERY_S:
            return held
        if not self._reading.acquire(blocking=held is None):
            return held or self.loaded()
        try:
            found = stamp(self._home.path)
            if self._loaded is None or found != self._stamp:
                self._loaded = read_topology(self._home.path, self._home.cache)
            self._stamp, self._looked = found, time.monotonic()
            return self._loaded
        finally:
            self._reading.release()

    def known(self) -> Known:
        """All that the files say. Blocks. Raises: BadConfiguration (permanent) for what federation.yaml says now."""
        loaded, own = self.loaded(), list(_looks(self._home.federation, self._home.registry_history))
        with self._joining:
            if self._of is None or self._of[0] is not loaded or self._of[1] != own:
                fault = None
                try:
                    self._known = read_known(self._home, loaded)
                except BadConfiguration as error:
                    fault = str(error)
                    if self._known is not None:
                        log.warning("the registry goes on as it was: %s", fault)
                self._of, self._fault = (loaded, own), fault
            if self._fault is not None or self._known is None:
                raise BadConfiguration(self._fault)
            return self._known

    def registry(self) -> Registry:
        """The federation; where federation.yaml says now what cannot be, as it was before. Blocks.

        Raises: BadConfiguration (permanent) where it never said what can be.
        """
        try:
            return self.known().registry
        except BadConfiguration:
            if self._known is None:
                raise
            return self._known.registry


def _looks(*paths: Path) -> Iterator[tuple[int, int, int]]:
    """What changes when one of these files does."""
    for path in paths:
        try:
            found = path.stat()
        except OSError:
            yield (0, 0, 0)
        else:
            yield (found.st_mtime_ns, found.st_size, found.st_ino)
