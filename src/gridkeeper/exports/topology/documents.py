"""Writes trees of plain values as XML: a list is a repeated element, None an empty one."""

from __future__ import annotations

import re
from typing import Any

from lxml import etree

Tree = dict[str, Any]
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_UNSAYABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def as_xml(name: str, tree: Tree, schema: str) -> bytes:
    """A document of one root element. schema: where its schema is."""
    root = etree.Element(name, nsmap={"xsi": _XSI})
    root.set(f"{{{_XSI}}}schemaLocation", schema)
    _fill(root, tree)
    return bytes(etree.tostring(root, encoding="utf-8", xml_declaration=True, pretty_print=True))


def _fill(parent: etree._Element, tree: Tree) -> None:
    for key, value in tree.items():
        if not _NAME.fullmatch(key):
            continue  # a key of a person's making that no element can be called
        for one in value if isinstance(value, list) else [value]:
            element = etree.SubElement(parent, key)
            if isinstance(one, dict):
                _fill(element, one)
            elif one is not None:
                element.text = _UNSAYABLE.sub("\ufffd", _written(one))


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def percent(value: float) -> int | float:
    """A share as written: whole where it is."""
    return int(value) if value == int(value) else value
