"""Fills the templates of reports: self-contained HTML (escaped by itself), Markdown and TWiki (escaped by filters)."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from gridkeeper import __version__
from gridkeeper.reports import wording

_WIKI_WORD = re.compile(r"(?<![\w!])(?=[A-Z]+[a-z0-9]+[A-Z])")
# What TWiki would read as more than a letter: table, link and variable anywhere, emphasis where a word begins.
_TWIKI = re.compile(r"[|$]|\[(?=\[)|%(?=\w)|(?<![\w.,;:)])[*_=](?=\S)")
# The same for Markdown; an underscore inside a word is only a letter there.
_MARKDOWN = re.compile(r"([\\`*\[\]<>|]|(?<!\w)_|_(?!\w))")


def page(template: str, **values: Any) -> bytes:
    """Fill a template of this package."""
    return _environment().get_template(template).render(version=__version__, **values).encode()


def no_page(kind: str, name: str, vo: str | None = None) -> None:
    """Where the name of a thing leads in a report's file: nowhere, for a file stands alone. vo: whose experiment it is."""


def markdown(text: object) -> str:
    """Text that Markdown shows as it is, in a table, too."""
    return _MARKDOWN.sub(r"\\\1", _one_line(text))


def twiki(text: object) -> str:
    """Text that TWiki shows as it is: no table, link or variable comes of it."""
    plain = _one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    plain = _WIKI_WORD.sub("!", plain)
    return _TWIKI.sub(lambda found: f"&#{ord(found[0])};", plain)


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("gridkeeper.reports"),
        autoescape=lambda name: name is not None and name.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for filter_ in (
        wording.whole,
        wording.signed,
        wording.rough,
        wording.percent,
        wording.signed_percent,
        wording.ratio,
    ):
        environment.filters[filter_.__name__] = filter_
    environment.filters |= {"core_hours": wording.hours, "md": markdown, "tw": twiki}
    return environment
