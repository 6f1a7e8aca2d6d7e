"""Tests of reports on time."""
