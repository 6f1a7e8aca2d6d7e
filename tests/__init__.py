"""Tests of Gridkeeper, one folder a room."""
