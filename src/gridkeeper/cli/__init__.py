"""The command line: one file per noun; `wiring` alone turns a home into objects."""
