"""Names of people as keyed hashes: the same name under the same key is always the same hash."""

from __future__ import annotations

import hashlib
import hmac
import re
from functools import lru_cache

PREFIX = b"hashed-"
_HASH_DIGITS = 20
_CACHED_NAMES = 16_384
# A subject such as /O=Example/CN=alice@example.org/CN=Alice is no address: there, names stand on both sides.
_ADDRESS = re.compile(rb"([^\s@/=,]+)(@[A-Za-z0-9._-]+)")


class Names:
    """Turns a name into its hash."""

    def __init__(self, key: bytes) -> None:
        @lru_cache(maxsize=_CACHED_NAMES)
        def hashed(name: bytes) -> bytes:
            digest = hmac.new(key, name, hashlib.sha256).hexdigest()
            return PREFIX + digest[:_HASH_DIGITS].encode()

        self._hashed = hashed

    def name(self, name: bytes) -> bytes:
        """Hash a name; nothing stays nothing, and a hash stays as it is."""
        return self._hashed(name) if name and not name.startswith(PREFIX) else name

    def address(self, name: bytes) -> bytes:
        """Hash `alice@example.org` up to its @, so that it agrees with the bare `alice`; anything else as a whole."""
        found = _ADDRESS.fullmatch(name)
        return self.name(found.group(1)) + found.group(2) if found else self.name(name)
