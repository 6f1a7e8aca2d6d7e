"""Editions: published reports, frozen with all that they were made of; and what today's books say otherwise, and why."""
