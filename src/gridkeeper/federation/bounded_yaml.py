"""Reads YAML of a person's writing within bounds: nesting, and what its anchors grow to, so that no file can exhaust the reader."""

from __future__ import annotations

from typing import Any

import yaml

MOST_DEPTH = 64
MOST_NODES = 1_000_000


class OutOfBounds(yaml.YAMLError):
    """The text is YAML, and beyond a bound. Permanent."""


def read_yaml(text: str) -> Any:
    """Read one document. Raises: OutOfBounds, other yaml.YAMLError, ValueError for a date or number that cannot be (permanent)."""
    loader = _Bounded(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


class _Bounded(yaml.SafeLoader):
    """Counts, for each node, the nodes in it and how deep they lie, those that an anchor repeats included."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._measured: dict[yaml.Node, tuple[int, int]] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose one node, as PyYAML does, within the bounds."""
        line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
        repeats = self.check_event(yaml.AliasEvent)
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise OutOfBounds(f"line {line}: lists and mappings nested more than {MOST_DEPTH} deep")
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is None:
            return None
        if node not in self._measured:
            if repeats:
                raise OutOfBounds(f"line {line}: an alias inside of what it names")
            self._measured[node] = self._measure(node)
        nodes, depth = self._measured[node]
        if nodes > MOST_NODES or self._depth + depth > MOST_DEPTH:
            raise OutOfBounds(
                f"line {line}: aliases that grow to more than {MOST_NODES:,} values, or {MOST_DEPTH} deep"
            )
        return node

    def _measure(self, node: yaml.Node) -> tuple[int, int]:
        if isinstance(node, yaml.MappingNode):
            inside = [part for pair in node.value for part in pair]
        else:
            inside = list(node.value) if isinstance(node, yaml.SequenceNode) else []
        parts = [self._measured[part] for part in inside]
        return 1 + sum(nodes for nodes, _ in parts), 1 + max((depth for _, depth in parts), default=0)
