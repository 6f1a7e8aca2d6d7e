"""Reports: one file each, with its templates; numbers come from queries, never from here."""
