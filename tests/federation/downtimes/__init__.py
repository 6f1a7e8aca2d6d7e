"""Tests of downtimes."""
