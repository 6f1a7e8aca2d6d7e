"""Tests of who may send, read and change."""
