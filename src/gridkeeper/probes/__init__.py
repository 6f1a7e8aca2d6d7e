"""Probes run at the sites: they read the batch system's own text, keep it in an outbox, and send it to the collector.

Standard library only, Python 3.9 or newer; shipped as one file, `gridkeeper-probe.pyz` (see `package.py`). A probe
meets the rest of Gridkeeper only over HTTP, and its own parts meet on disk: a reader puts text into the outbox and
moves its cursor, a sender empties the outbox. All parsing of what the text says is done at the collector.
"""
