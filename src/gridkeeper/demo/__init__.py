"""The sample federation: invented raw files in real formats, and a ledger of what they must add up to."""

from __future__ import annotations

from gridkeeper.demo.generator import generate
from gridkeeper.demo.ledger import Ledger, LedgerRow
from gridkeeper.demo.targets import Target

__all__ = ["Ledger", "LedgerRow", "Target", "generate"]
