"""Summaries: daily and hourly roll-ups of records, always recomputable; the mapping is joined here."""
