"""Corrections: reviewed rules that change what summaries make of records, and never the records."""
