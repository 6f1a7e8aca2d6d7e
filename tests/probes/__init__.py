"""Probes against a fake collector on the loopback and fake commands of batch systems."""
