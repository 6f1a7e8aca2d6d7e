"""The error tree: every error a user can meet, and whether trying again can help."""

from __future__ import annotations


class GridkeeperError(Exception):
    """Something a user can understand and act on; shown as one sentence, never as a traceback.

    permanent: True when the same call fails again until somebody changes something; False when a later
    try may succeed (a lock, a busy table, a full disk).
    """

    permanent = True


class UserMistake(GridkeeperError):
    """The command, option or configuration is wrong; the sentence says what to write instead. Permanent."""


class BadConfiguration(UserMistake):
    """A file in the home says something that cannot be; names file, place and remedy. Permanent."""


class UnreadableInput(GridkeeperError):
    """A whole input cannot be read (unknown format, not a file, broken compression). Permanent."""


class LakeUnavailable(GridkeeperError):
    """The lake could not be read or written now. Retryable."""

    permanent = False


class LakeDamaged(LakeUnavailable):
    """A file of the lake is missing or not what was written; says which, and how it is mended. Permanent."""

    permanent = True
