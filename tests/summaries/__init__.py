"""Tests of the summaries."""
