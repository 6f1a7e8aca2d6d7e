"""The samples of the docs, as an operator copies them: cut out of the pages, and put on this machine's ports and paths."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCS = Path(__file__).parents[2] / "docs"
_FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def sample(page: str, language: str, with_text: str) -> str:
    """The one fenced block of a page in a language that has a text in it."""
    found = [
        text
        for tongue, text in _FENCED.findall((DOCS / page).read_text(encoding="utf-8"))
        if tongue == language and with_text in text
    ]
    assert len(found) == 1, (
        f"docs/{page} has {len(found)} samples in {language} with {with_text!r}, where one is expected"
    )
    return str(found[0])


def put(text: str, places: Mapping[str, object]) -> str:
    """A sample with other addresses and paths; each of those that it is expected to name must be there."""
    for theirs, ours in places.items():
        assert theirs in text, f"the sample does not say {theirs!r} any more"
        text = text.replace(theirs, str(ours))
    return text
