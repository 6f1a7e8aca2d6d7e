"""The keys of one issuer, kept for hours: read again when they are old or a token names a key that is not among them."""

from __future__ import annotations

from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING

from gridkeeper.trust.key_sets import KeySet, UnreadableKeys, read_keys
from gridkeeper.trust.refusals import CannotTell, NotRecognised, shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import jwt

    from gridkeeper.settings import Issuer

KEYS_FRESH = timedelta(hours=6)
FILE_FRESH = timedelta(minutes=1)
KEYS_KEPT = timedelta(hours=24)  # so long old keys serve on where the issuer does not answer
ASKED_AGAIN = timedelta(minutes=1)


class KeyRing:
    """The keys of one issuer, for many threads."""

    def __init__(
        self,
        issuer: Issuer,
        now: Callable[[], datetime],
        read: Callable[[Issuer], KeySet] = read_keys,
    ) -> None:
        self._issuer = issuer
        self._now = now
        self._read = read
        self._fresh = FILE_FRESH if issuer.jwks_file else KEYS_FRESH
        self._asking = Lock()
        self._keys: KeySet = {}
        self._read_at: datetime | None = None
        self._asked_at: datetime | None = None
        self._fault = "they were not read yet"

    def find(self, kid: str, algorithm: str) -> jwt.PyJWK:
        """The key of this id, made ready for this algorithm.

        Raises: NotRecognised (permanent) where the issuer has no such key or the key is not for this algorithm;
                CannotTell (retryable) where its keys cannot be had.
        """
        # While one thread asks, others work with the keys there are; only the very first keys are waited for.
        if (self._read_at is None or self._should_ask(kid)) and self._asking.acquire(
            blocking=self._read_at is None
        ):
            try:
                if self._should_ask(kid):
                    self._ask()
            finally:
                self._asking.release()
        if self._read_at is None or self._now() - self._read_at > KEYS_KEPT:
            raise CannotTell(
                f"the keys of {self._issuer.issuer} cannot be had now: {self._fault}; try again later"
            )
        ready = self._keys.get(kid)
        if ready is None:
            raise NotRecognised(
                f"the token is signed with the key {shown(kid)!r}, which is not among those of {self._issuer.issuer}"
            )
        if algorithm not in ready:
            raise NotRecognised(
                f"the token is signed by {shown(algorithm)}, for which the key {shown(kid)!r} of "
                f"{self._issuer.issuer} is not made"
            )
        return ready[algorithm]

    def _should_ask(self, kid: str) -> bool:
        now = self._now()
        if self._asked_at is not None and timedelta() <= now - self._asked_at < ASKED_AGAIN:
            return False
        return (
            self._read_at is None
            or kid not in self._keys
            or not timedelta() <= now - self._read_at < self._fresh
        )

    def _ask(self) -> None:
        self._asked_at = self._now()
        try:
            self._keys = self._read(self._issuer)
            self._read_at = self._asked_at
        except UnreadableKeys as error:
            self._fault = str(error)
