"""The lake: Delta tables on a directory, appended exactly once and on disk, read by any engine."""
