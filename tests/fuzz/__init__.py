"""Coverage-guided fuzzing of the formats; runs as long as it is let, outside CI."""
