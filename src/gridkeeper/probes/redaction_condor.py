"""Redacts HTCondor's ads: attributes that name people are hashed, paths and free text blanked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridkeeper.probes.hashed_names import Names

# Attributes whose text names a person; attribute names know no case.
NAMES = (
    "Owner", "User", "OsUser", "EffectiveOwner", "ProxyOwner", "NotifyUser", "AcctGroupUser", "x509userproxysubject",
    "x509UserProxyEmail", "AuthTokenSubject", "AuthTokenId", "orig_AuthTokenSubject", "orig_AuthTokenId",
    "AuthenticatedIdentity", "CRAB_UserHN", "CRAB_UserDN", "LigoSearchUser", "SubmitterId", "RemoteOwner",
)  # fmt: skip
# In these a person's name is one of several parts; only that part is hashed.
PARTLY = ("AccountingGroup", "AcctGroup", "SubmitterGroup", "NTDomain")
# The subject stands before the first comma, the groups behind it.
SUBJECT_FIRST = ("x509UserProxyFQAN",)
# Paths, arguments and sentences, which hold home directories and names.
BLANKED = (
    "Iwd", "Cmd", "In", "Out", "Err", "UserLog", "UserLogFile", "ULogFile", "DAGManNodesLog", "Args", "Arguments", "Env", "Environment",
    "x509userproxy", "ScitokensFile", "OutputDestination", "TransferInput", "TransferOutput", "TransferOutputRemaps",
    "TransferCheckpoint", "TransferPlugins", "EncryptInputFiles", "EncryptOutputFiles", "Description", "JobDescription",
    "JobBatchName", "JobSubmitFile", "SubmitEventNotes", "SubmitEventUserNotes", "HoldReason", "LastHoldReason", "RemoveReason",
    "ReleaseReason", "VacateReason", "PreScript", "PostScript", "PreCmd", "PostCmd", "PreArguments", "PostArguments", "RootDir",
    "ContainerImage", "DockerImage", "SingularityImage", "Err_RAW", "Out_RAW", "UserNotes", "Requirements_RAW",
)  # fmt: skip
BLANKED_BEGINNINGS = ("submit_", "transferinput", "transferoutput")

_ATTRIBUTE = re.compile(rb"^([ \t]*)([A-Za-z_][\w.]*)([ \t]*=[ \t]*)(.*?)([ \t]*\r?)$")
_TEXT = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_BANNER_OWNER = re.compile(rb'(\bOwner = ")((?:[^"\\]|\\.)*)(")')
_LITERAL = re.compile(rb"undefined|error|true|false|[+-]?[\d.]+(?:[eE][+-]?\d+)?", re.IGNORECASE)


class CondorRedactor:
    """Redacts ads, line by line; `also` names further attributes to hash."""

    def __init__(self, names: Names, also: Sequence[str] = ()) -> None:
        self._names = names
        self._hashed = {word.lower().encode() for word in (*NAMES, *also)}
        self._partly = {word.lower().encode() for word in PARTLY}
        self._subject_first = {word.lower().encode() for word in SUBJECT_FIRST}
        self._blanked = {word.lower().encode() for word in BLANKED}
        self._blanked_beginnings = tuple(word.encode() for word in BLANKED_BEGINNINGS)

    def text(self, records: bytes, preamble: bytes) -> bytes:
        """Redact whole ads. A person's name may stand in an ad before the attribute that tells it: two passes."""
        lines = records.split(b"\n")
        people: set[bytes] = set()
        mended: list[bytes] = []
        begin = 0
        for index, line in enumerate(lines):
            self._collect(line, people)
            if line.startswith(b"*** ") or not line.strip() or index == len(lines) - 1:
                mended += [self._line(one, people) for one in lines[begin : index + 1]]
                begin, people = index + 1, set()
        return b"\n".join(mended)

    def _collect(self, line: bytes, people: set[bytes]) -> None:
        found = _ATTRIBUTE.match(line)
        if found and found.group(2).lower() in self._hashed:
            for value in _TEXT.findall(found.group(4)):
                people.update({value, value.split(b"@")[0]} - {b""})

    def _line(self, line: bytes, people: set[bytes]) -> bytes:
        if line.startswith(b"*** "):
            return _BANNER_OWNER.sub(
                lambda owner: owner.group(1) + self._names.address(owner.group(2)) + owner.group(3), line
            )
        found = _ATTRIBUTE.match(line)
        if not found:
            return line
        indent, attribute, equals, value, end = found.groups()
        return indent + attribute + equals + self._value(attribute.lower(), value, people) + end

    def _value(self, attribute: bytes, value: bytes, people: set[bytes]) -> bytes:
        if attribute in self._blanked or attribute.startswith(self._blanked_beginnings):
            return value if _LITERAL.fullmatch(value) else b'""'
        whole = _TEXT.fullmatch(value)
        if attribute in self._hashed:
            if whole:
                return b'"' + self._names.address(whole.group(1)) + b'"'
            # What would have to be evaluated cannot be hashed in part with certainty.
            return value if _LITERAL.fullmatch(value) else b"undefined"
        if attribute in self._subject_first and whole:
            subject, comma, groups = whole.group(1).partition(b",")
            return b'"' + self._names.name(subject) + comma + groups + b'"'
        if attribute in self._partly:
            return _TEXT.sub(lambda text: b'"' + self._parts(text.group(1), people) + b'"', value)
        return value

    def _parts(self, value: bytes, people: set[bytes]) -> bytes:
        for person in sorted(people, key=len, reverse=True):
            if value == person or value.endswith(b"." + person):
                return value[: len(value) - len(person)] + self._names.address(person)
        return value
