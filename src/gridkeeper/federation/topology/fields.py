"""Takes one entry's fields out of a block: the right kind of value, or a fault that says what was expected."""

from __future__ import annotations

from typing import Any

from gridkeeper.federation.topology.documents import Block, Items
from gridkeeper.federation.topology.faults import Fault, Severity


class Fields:
    """The fields of one entry. what: how a sentence calls it (`resource Utah-CE`)."""

    def __init__(self, block: Any, what: str, file: str, faults: list[Fault], line: int = 1) -> None:
        self.what = what
        self.file = file
        self.faults = faults
        if isinstance(block, Block):
            self.block = block
        else:
            self.block = Block(line)
            if block is not None:
                self.fault("wrong-kind", line, f"{what} is {_kind(block)}", "write keys with values", "error")

    @property
    def line(self) -> int:
        """Where the entry begins."""
        return self.block.line

    @property
    def lines(self) -> dict[str, int]:
        """On which line each key stands."""
        return self.block.lines

    def fault(self, code: str, line: int, message: str, fix: str, severity: Severity = "warning") -> None:
        """Tell a fault of this entry."""
        self.faults.append(Fault(code, severity, self.file, line, message, fix))

    def where(self, key: str) -> int:
        """The line of a key; the entry's where the key is not there."""
        return self.block.lines.get(key, self.block.line)

    def text(self, key: str, *, needed: bool = False) -> str | None:
        """A text; numbers as they are written."""
        value = self.block.get(key)
        if value is None:
            self._none(key, needed)
            return None
        if isinstance(value, str):
            return value
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._wrong(key, value, "text; put quotes around it", needed)
            return str(value).lower() if isinstance(value, bool) else None
        return str(value)

    def integer(self, key: str) -> int | None:
        """A whole number, quoted or not."""
        value = self.block.get(key)
        if value is None:
            return None
        if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            self._wrong(key, value, "a whole number", False)
            return None
        return value

    def number(self, key: str) -> float | None:
        """A number."""
        value = self.block.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._wrong(key, value, "a number", False)
            return None
        return float(value)

    def boolean(self, key: str) -> bool | None:
        """Yes or no; None where the file does not say."""
        value = self.block.get(key)
        if value is None or isinstance(value, bool):
            return value
        self._wrong(key, value, "true or false", False)
        return None

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; one text stands for a list of one."""
        value = self.block.get(key)
        if value is None:
            return ()
        if isinstance(value, str):
            return (value,)
        if not isinstance(value, Items):
            self._wrong(key, value, "a list", False)
            return ()
        found = []
        for line, one in zip(value.lines, value, strict=True):
            if isinstance(one, Block | Items) or one is None:
                self.fault(
                    "wrong-kind", line, f"{self.what}: a member of {key} is {_kind(one)}", "write a text"
                )
            else:
                found.append(one if isinstance(one, str) else str(one))
        return tuple(found)

    def inner(self, key: str) -> Block | None:
        """A mapping within; None where there is none."""
        value = self.block.get(key)
        if value is None or isinstance(value, Block):
            return value
        if value not in ("", "(Information not available)"):
            self._wrong(key, value, "keys with values", False)
        return None

    def _none(self, key: str, needed: bool) -> None:
        if needed:
            self.fault(
                "missing-key", self.where(key), f"{self.what} has no {key}", f"add the line {key}:", "error"
            )

    def _wrong(self, key: str, value: Any, expected: str, needed: bool) -> None:
        message = f"{self.what}: {key} is {_kind(value)}; expected is {expected}"
        self.fault("wrong-kind", self.where(key), message, "mend the value", "error" if needed else "warning")


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return "nothing" if value is None else repr(value)[:60]


def plain(value: Any) -> Any:
    """A value without its lines."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value
