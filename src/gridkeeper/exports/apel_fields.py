"""Texts as APEL's messages take them: ASCII, one line, without the two signs that end a record, and not too long."""

from __future__ import annotations

import hashlib
import re

from gridkeeper.exports.apel_validator import MOST_TEXT, NULL_WORDS

_ROLE = re.compile(r"/Role=[^/]*", re.IGNORECASE)
_CAPABILITY = re.compile(r"/Capability=[^/]*", re.IGNORECASE)
_PRINTED = range(0x20, 0x7F)
_HASH_CHARACTERS = 16


def escaped(text: str, most: int = MOST_TEXT) -> str:
    r"""A text as it is sent: what is not printable ASCII as `\xC3\xAB` (as OpenSSL prints it in names), and so the signs `%%`.

    What is longer than its column, `most`, is cut and ends in a hash of the whole, so that two such names stay two. A word for
    nothing is nothing.
    """
    text = text.strip()
    if text.lower() in NULL_WORDS:
        return ""
    if not (text.isascii() and text.isprintable()):
        data = text.encode("utf-8", "surrogateescape")
        text = "".join(chr(byte) if byte in _PRINTED else f"\\x{byte:02X}" for byte in data)
    text = text.replace("%%", "\\x25\\x25")
    if len(text) > most:
        name = hashlib.sha256(text.encode()).hexdigest()[: min(_HASH_CHARACTERS, most // 2)]
        text = f"{text[: most - len(name) - 1]}~{name}"
    return text


def group_and_role(fqan: str) -> tuple[str, str]:
    """`/atlas/usatlas/Role=pilot/Capability=NULL` as its group, `/atlas/usatlas`, and role, `Role=pilot`; "" where it has none."""
    role = _ROLE.search(fqan)
    group = _CAPABILITY.sub("", _ROLE.sub("", fqan))
    return group, role[0].lstrip("/") if role else ""
