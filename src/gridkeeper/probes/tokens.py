"""Reads the two secrets of a probe: the token for the collector and the site's key for redaction."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from gridkeeper.probes.errors import BadSettings

if TYPE_CHECKING:
    from pathlib import Path

    from gridkeeper.probes.settings import CollectorSettings

MOST_SECRET_BYTES = 16 * 1024
LEAST_KEY_BYTES = 16


def token(settings: CollectorSettings) -> str:
    """Read the token anew, so that a renewed one holds at once.

    Raises: BadSettings (permanent) when there is none; the sentence never holds the token.
    """
    if settings.token_file is None:
        found = os.environ.get(settings.token_env, "").strip()
        place = f"the environment's {settings.token_env}"
    else:
        found = _read(settings.token_file).decode("utf-8", "replace").strip()
        place = str(settings.token_file)
    if not found or not found.isascii() or not found.isprintable() or " " in found:
        raise BadSettings(
            f"{place} holds no token; put the one line there that the federation's operators gave you "
            "([collector] token_file)"
        )
    return found


def site_key(path: Path) -> bytes:
    """Read the site's key for redaction. Raises: BadSettings (permanent)."""
    key = _read(path).strip()
    if len(key) < LEAST_KEY_BYTES:
        raise BadSettings(
            f"{path} is too short for a key; make one with: openssl rand -hex 32 (and keep it: "
            "with another key, the same person gets another hash)"
        )
    return key


def readable_by_others(path: Path) -> bool:
    """Say whether others than its owner and group may read a file. Raises: OSError."""
    return bool(path.stat().st_mode & stat.S_IROTH)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(MOST_SECRET_BYTES)
    except OSError as error:
        raise BadSettings(
            f"{path} cannot be read: {error.strerror}; make it readable for the probe's account"
        ) from error
