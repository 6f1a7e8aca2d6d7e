"""The home's registry as it is published: read again when a file changes, and each document made once."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from gridkeeper.config import Home
from gridkeeper.federation.topology.loading import has_topology, read_topology, stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from pathlib import Path

    from gridkeeper.federation.topology.models import Topology

LOOK_EVERY_S = 2.0
MOST_KEPT_BYTES = 64 * 1024 * 1024


class Published:
    """One process's view of the registry, and the documents that were made of it lately."""

    def __init__(self, folder: Path) -> None:
        self._home = Home(folder)
        self._held: Topology | None = None
        self._stamp, self._looked = "", float("-inf")
        self._made: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def document(self, key: Hashable, make: Callable[[Topology], bytes]) -> bytes | None:
        """A document of the registry, made where it is not kept; None where the home has no registry of this layout.

        Whoever asks while another is made waits: each takes a part of a second, and many at once would take no less.
        """
        with self._lock:
            topology = self._topology()
            if topology is None:
                return None
            found = self._made.get(key)
            if found is None:
                found = self._made[key] = make(topology)
                while len(self._made) > 1 and sum(map(len, self._made.values())) > MOST_KEPT_BYTES:
                    self._made.popitem(last=False)
            self._made.move_to_end(key)
            return found

    def _topology(self) -> Topology | None:
        moment = time.monotonic()
        if moment - self._looked >= LOOK_EVERY_S:
            self._looked, found = moment, stamp(self._home.path)
            if found != self._stamp:
                self._stamp = found
                self._made.clear()
                there = has_topology(self._home.path)
                self._held = read_topology(self._home.path, self._home.cache).topology if there else None
        return self._held
