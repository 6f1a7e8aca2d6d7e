"""Reads single values of the configuration; each reader raises ValueError with what would be right."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gridkeeper.probes import clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    Reader = Callable[[str], Any]

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_SEPARATORS = re.compile(r"[,\s]+")
_TRUTHS = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}


def text(raw: str) -> str:
    """Any text that is not empty."""
    if not raw.strip():
        raise ValueError("it is empty")
    return raw.strip()


def identifier(raw: str) -> str:
    """A name that can stand in a header or a file name."""
    if not _IDENTIFIER.fullmatch(raw.strip()):
        raise ValueError("letters, digits, dots, hyphens and underscores are allowed, at most 100")
    return raw.strip()


def path(raw: str) -> Path:
    """An absolute path."""
    found = Path(text(raw)).expanduser()
    if not found.is_absolute():
        raise ValueError("write the whole path, from / on")
    return found


def words(raw: str) -> tuple[str, ...]:
    """Words set apart by commas, blanks or line ends."""
    found = tuple(part for part in _SEPARATORS.split(raw) if part)
    if not found:
        raise ValueError("it is empty")
    return found


def command(raw: str) -> tuple[str, ...]:
    """A program and its first arguments, quoted as in a shell; no shell runs it."""
    parts = tuple(shlex.split(raw))
    if not parts:
        raise ValueError("it is empty")
    return parts


def flag(raw: str) -> bool:
    """Yes or no."""
    try:
        return _TRUTHS[raw.strip().lower()]
    except KeyError:
        raise ValueError("write yes or no") from None


def moment(raw: str) -> datetime:
    """A day or a moment, UTC."""
    return clock.from_text(raw)


def url(raw: str) -> str:
    """An http or https address without a query; the slash at its end is dropped."""
    address = raw.strip()
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("write an address such as https://gridkeeper.example.org")
    if parts.username or parts.password:
        raise ValueError("an address must not hold a password; the token goes into token_file")
    return address.rstrip("/")


def whole(least: int, most: int) -> Reader:
    """A whole number within bounds."""

    def read(raw: str) -> int:
        if not re.fullmatch(r"\d{1,12}", raw.strip(), re.ASCII) or not least <= int(raw) <= most:
            raise ValueError(f"write a whole number from {least} to {most}")
        return int(raw)

    return read


def one_of(*choices: str) -> Reader:
    """One of some words."""

    def read(raw: str) -> str:
        if raw.strip() not in choices:
            raise ValueError(f"write one of {', '.join(choices)}")
        return raw.strip()

    return read
