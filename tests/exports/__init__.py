"""Tests of the feeds for other accounting systems."""
