"""Tests in a real browser: Debian's Chromium before a real `gridkeeper serve`."""
