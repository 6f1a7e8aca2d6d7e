"""What can go wrong in a probe, as sentences; each says whether trying again can help."""

from __future__ import annotations


class ProbeError(Exception):
    """Something an admin can understand and act on.

    permanent: True when it stays so until somebody changes something; False when a later try may succeed.
    """

    permanent = True


class BadSettings(ProbeError):
    """The configuration says something that cannot be; names file, section, setting and remedy. Permanent."""


class StateDamaged(ProbeError):
    """A file in the state folder is not what the probe wrote there. Permanent."""


class SourceUnreadable(ProbeError):
    """The batch system's command or file is missing, or the probe may not use it. Permanent."""


class SourceFailed(ProbeError):
    """The batch system did not answer now. Retryable."""

    permanent = False


class DiskRefused(ProbeError):
    """The state folder could not be written: a full disk, a quota, a read-only file system. Retryable."""

    permanent = False


class AnotherRun(ProbeError):
    """Another run of the same probe holds the lock. Retryable."""

    permanent = False
