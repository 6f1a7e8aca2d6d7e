"""Tests of the registry's published forms."""
