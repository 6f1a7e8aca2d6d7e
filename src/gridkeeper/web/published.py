"""The home's registry as it is published: each document is made once, and again when a file changes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from gridkeeper.federation.topology.loading import Loaded
    from gridkeeper.federation.topology.models import Topology
    from gridkeeper.federation.watching import Watch

MOST_KEPT_BYTES = 64 * 1024 * 1024


class Published:
    """One process's view of the registry, and the documents that were made of it lately."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._of: Loaded | None = None
        self._held: Topology | None = None
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
        found = self._watch.loaded()
        if found is not self._of:
            self._of = found
            self._made.clear()
            self._held = found.topology if found.topology.folders else None
        return self._held
