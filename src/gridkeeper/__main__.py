"""Runs the command line as `python -m gridkeeper`."""

from gridkeeper.cli.app import main

if __name__ == "__main__":
    main()
