"""Tests of published reports and of restatements."""
