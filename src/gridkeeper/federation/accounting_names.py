"""What the WLCG's accounting calls the place where something ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridkeeper.federation.spells import by_name

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from gridkeeper.federation.model import NamedFrom, Registry


class AccountingNames:
    """Names of places by resource and site, as of a day."""

    def __init__(self, registry: Registry) -> None:
        self._resources = by_name(registry, lambda one: _ordered(one.accounting_name))
        self._sites = {one.name.lower(): _ordered(one.accounting_name) for one in registry.sites}

    def on(self, resource: str | None, site: str | None, day: date) -> str | None:
        """The name on a day: the resource's, else the site's, else the site as it is; None where no site is known."""
        entries = [*self._sites.get((site or "").lower(), ()), *self._resources.get(resource or "", ())]
        found = site
        for since, name in entries:
            if since <= day:
                found = name
        return found


def _ordered(entries: Iterable[NamedFrom]) -> list[tuple[date, str]]:
    return sorted((one.since, one.name) for one in entries)
