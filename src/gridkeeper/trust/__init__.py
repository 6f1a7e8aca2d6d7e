"""Who may send, read and change."""
