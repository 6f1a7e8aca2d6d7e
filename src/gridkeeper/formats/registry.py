"""All formats by name: every module of this package that has a FORMAT."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

import gridkeeper.formats
from gridkeeper.errors import UnreadableInput, UserMistake

if TYPE_CHECKING:
    from gridkeeper.formats.contract import Format


@cache
def formats() -> dict[str, Format]:
    """Find all formats; their order is that of their names."""
    found = {}
    for module in pkgutil.iter_modules(gridkeeper.formats.__path__):
        plugin = getattr(import_module(f"gridkeeper.formats.{module.name}"), "FORMAT", None)
        if plugin is not None:
            found[plugin.name] = plugin
    return dict(sorted(found.items()))


def format_named(name: str) -> Format:
    """Return the format of that name. Raises: UserMistake (permanent) with the names there are."""
    try:
        return formats()[name]
    except KeyError:
        raise UserMistake(f"there is no format {name!r}; there are: auto, {', '.join(formats())}") from None


def recognise(head: bytes, source: str) -> Format:
    """Find the one format whose marks `head` bears.

    Raises: UnreadableInput (permanent) when none or more than one does.
    """
    candidates = [plugin for plugin in formats().values() if plugin.recognise(head)]
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise UnreadableInput(
            f"{source}: no known format begins like this; name it with --format ({', '.join(formats())})"
        )
    names = " and ".join(plugin.name for plugin in candidates)
    raise UnreadableInput(f"{source}: begins like {names}; name one with --format")
