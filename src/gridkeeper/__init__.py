"""Gridkeeper keeps the books and the services of a computing federation."""

__version__ = "0.1.0"
