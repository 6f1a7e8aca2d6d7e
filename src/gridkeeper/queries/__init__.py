"""Questions about usage and their answers, one file per subject."""
