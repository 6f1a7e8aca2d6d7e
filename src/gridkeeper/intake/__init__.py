"""Intake: reads what was delivered, keeps it, and appends its records once."""
