"""Tests of the registry's own kinds of documents."""
