"""All reports by name: every module of this package that has a REPORT."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

import gridkeeper.reports

if TYPE_CHECKING:
    from gridkeeper.reports.contract import Report


@cache
def reports() -> dict[str, Report]:
    """Find all reports."""
    modules = (
        import_module(f"gridkeeper.reports.{module.name}")
        for module in pkgutil.iter_modules(gridkeeper.reports.__path__)
        if not module.ispkg
    )
    found = [module.REPORT for module in modules if hasattr(module, "REPORT")]
    return {report.name: report for report in sorted(found, key=lambda report: report.name)}
