"""What may be a slip in a correction: names that the registry does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gridkeeper.federation.model import Experiment, Registry
    from gridkeeper.summaries.corrections.rules import Rule


def doubts(rule: Rule, registry: Registry) -> Iterator[str]:
    """A sentence for each VO and resource that a correction books usage on and the registry does not know.

    It may be right, since a record's VO or resource needs no entry; it may as well be a misspelt name.
    """
    named: list[tuple[str, str]] = []
    if rule.add is not None:
        named = [("vo", rule.add.vo), ("resource", rule.add.resource)]
    elif rule.set is not None and rule.set.column in ("vo", "resource"):
        value = rule.set.value
        named = [(rule.set.column, name) for name in (value.values() if isinstance(value, dict) else [value])]
    known = {
        "vo": set(_vos(registry.vos)),
        "resource": {name.lower() for one in registry.resources for name in one.names},
    }
    for kind, name in dict.fromkeys(named):
        if known[kind] and name.lower() not in known[kind] and not name.startswith("/"):
            yield f"{rule.id} books usage on the {kind} {name}, which the registry does not know; mend the name if it is a slip"


def _vos(groups: tuple[Experiment, ...]) -> Iterator[str]:
    for group in groups:
        yield from (name.lower() for name in (group.name, *group.aliases))
        yield from _vos(group.experiments)
