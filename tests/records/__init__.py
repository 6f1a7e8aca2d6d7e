"""Tests of the record schemas, identities and rules."""
