"""The rules a record must keep; a refusal names the rule it broke, where, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

REJECT_TEXT_LIMIT_BYTES = 65_536
FUTURE_TOLERANCE_DAYS = 2
OLDEST_YEAR = 1990
LONGEST_WALL_DAYS = 3660
MOST_PROCESSORS = 10_000_000


class Rule(StrEnum):
    """Why a record was refused."""

    FIELD_COUNT = "field_count"
    MISSING_FIELD = "missing_field"
    UNKNOWN_FIELD = "unknown_field"
    BAD_NUMBER = "bad_number"
    BAD_TIME = "bad_time"
    BAD_DURATION = "bad_duration"
    NEGATIVE_DURATION = "negative_duration"
    NEGATIVE_COUNT = "negative_count"
    END_BEFORE_START = "end_before_start"
    END_IN_FUTURE = "end_in_future"
    TIME_TOO_OLD = "time_too_old"
    NO_TIMES = "no_times"
    NO_IDENTITY = "no_identity"
    NO_RESOURCE = "no_resource"
    ABSURD_VALUE = "absurd_value"
    NOT_UTF8 = "not_utf8"
    UTF_16 = "utf_16"
    BINARY_JUNK = "binary_junk"
    RECORD_TOO_LONG = "record_too_long"
    TRUNCATED = "truncated"
    NOT_WELL_FORMED = "not_well_formed"
    DTD_REFUSED = "dtd_refused"
    NESTED_TOO_DEEP = "nested_too_deep"
    UNKNOWN_RECORD_TYPE = "unknown_record_type"
    UNKNOWN_HEADER = "unknown_header"
    UNKNOWN_FORMAT = "unknown_format"
    NOT_ALLOWED = "not_allowed"
    TOO_MANY_MEMBERS = "too_many_members"
    BUNDLE_SIZE = "bundle_size"
    UNREADABLE_BATCH = "unreadable_batch"


REMEDY: dict[Rule, str] = {
    Rule.FIELD_COUNT: "export the file again with the delimiter kept out of the fields, the job name last",
    Rule.MISSING_FIELD: "add the field at the source and send the record again",
    Rule.UNKNOWN_FIELD: "remove the field, or name the right --format",
    Rule.BAD_NUMBER: "write a whole number in the unit that docs/formats.md states",
    Rule.BAD_TIME: "write a time as docs/formats.md states for this format, in UTC",
    Rule.BAD_DURATION: "write the duration as docs/formats.md states for this format",
    Rule.NEGATIVE_DURATION: "mend the clock or the accounting of the source and send the record again",
    Rule.NEGATIVE_COUNT: "mend the count at the source and send the record again",
    Rule.END_BEFORE_START: "mend the clock or the accounting of the source and send the record again",
    Rule.END_IN_FUTURE: "mend the clock of the source and send the record again",
    Rule.TIME_TOO_OLD: "mend the clock of the source; a time before 1990 is a zero or a lost clock",
    Rule.NO_TIMES: "send the record with two of start, end and wall time",
    Rule.NO_IDENTITY: "send the record with the job's id",
    Rule.NO_RESOURCE: "name the machine with --resource, or export the field that does",
    Rule.ABSURD_VALUE: "look whether the unit is the one that docs/formats.md states",
    Rule.NOT_UTF8: "send the text as UTF-8 (`iconv -f LATIN1 -t UTF-8` makes it of Latin-1)",
    Rule.UTF_16: "turn it into UTF-8 first (`iconv -f UTF-16 -t UTF-8 FILE`)",
    Rule.BINARY_JUNK: "look whether the file is text and complete",
    Rule.RECORD_TOO_LONG: "look whether the file is of this format; no record is that long",
    Rule.TRUNCATED: "send the whole file again",
    Rule.NOT_WELL_FORMED: "mend the syntax and send the record again",
    Rule.DTD_REFUSED: "send the record without a document type or entity declaration",
    Rule.NESTED_TOO_DEEP: "look whether the file is of this format; no record nests that deep",
    Rule.UNKNOWN_RECORD_TYPE: "send job, usage, transfer or storage records only",
    Rule.UNKNOWN_HEADER: "name the right --format, or mend the first line",
    Rule.UNKNOWN_FORMAT: "look whether it is the right file, or name its --format",
    Rule.NOT_ALLOWED: "send it with a token of its own site, or bind the sender's token to it, and retry",
    Rule.TOO_MANY_MEMBERS: "send smaller bundles, or raise intake.members, and retry",
    Rule.BUNDLE_SIZE: "look whether the sender lost a part of it, and send the bundle again",
    Rule.UNREADABLE_BATCH: "look whether the batch is what its format says, and send it again",
}

MEANING: dict[Rule, str] = {
    Rule.FIELD_COUNT: "a line has more or fewer fields than its header",
    Rule.MISSING_FIELD: "a field without which it is no record is not there, or is empty",
    Rule.UNKNOWN_FIELD: "a field is there that this format does not have",
    Rule.BAD_NUMBER: "what should be a number is none, or is too large to be kept",
    Rule.BAD_TIME: "what should be a moment is none",
    Rule.BAD_DURATION: "what should be a duration is none",
    Rule.NEGATIVE_DURATION: "a job took less than no time",
    Rule.NEGATIVE_COUNT: "an amount is less than nothing",
    Rule.END_BEFORE_START: "a job ended before it began",
    Rule.END_IN_FUTURE: f"a job ended more than {FUTURE_TOLERANCE_DAYS} days after it was received",
    Rule.TIME_TOO_OLD: f"a moment lies before {OLDEST_YEAR}",
    Rule.NO_TIMES: "of start, end and wall time fewer than two are known",
    Rule.NO_IDENTITY: "nothing tells the job from others, so that it could not be known again",
    Rule.NO_RESOURCE: "nothing says on which machine it ran",
    Rule.ABSURD_VALUE: "a value is larger than any that can be true",
    Rule.NOT_UTF8: "the text is not UTF-8",
    Rule.UTF_16: "the text is UTF-16",
    Rule.BINARY_JUNK: "it is no text at all",
    Rule.RECORD_TOO_LONG: "one record is longer than any record is",
    Rule.TRUNCATED: "the text ends within a record",
    Rule.NOT_WELL_FORMED: "the text does not keep the syntax of its format",
    Rule.DTD_REFUSED: "it declares a document type or entities, which nobody needs here and attackers use",
    Rule.NESTED_TOO_DEEP: "its parts lie in each other deeper than those of any record",
    Rule.UNKNOWN_RECORD_TYPE: "it is a record of a kind that is not kept here",
    Rule.UNKNOWN_HEADER: "the first line is not that of this format",
    Rule.UNKNOWN_FORMAT: "it is of no format that is known here",
    Rule.NOT_ALLOWED: "its sender may not send for the resource, probe or VO that it names",
    Rule.TOO_MANY_MEMBERS: "a bundle has more members than may be taken in at once",
    Rule.BUNDLE_SIZE: "a bundle has another number of records than it promised; those that it had were taken",
    Rule.UNREADABLE_BATCH: "the batch as a whole cannot be read, so nothing of it was taken",
}


@dataclass(frozen=True)
class Reject:
    """One refused record.

    line:   1-based line of the source where it begins.
    detail: what was found and what was expected, as the middle of a sentence.
    text:   its original bytes, at most REJECT_TEXT_LIMIT_BYTES of them; `text_bytes` says how many there were.
    """

    rule: Rule
    line: int
    detail: str
    text: bytes
    text_bytes: int

    @classmethod
    def of(cls, rule: Rule, line: int, detail: str, text: bytes) -> Reject:
        """Make a reject, keeping at most REJECT_TEXT_LIMIT_BYTES of its text."""
        return cls(rule, line, detail, bytes(text[:REJECT_TEXT_LIMIT_BYTES]), len(text))

    def sentence(self, source: str) -> str:
        """Say place, what is wrong, the rule and the remedy."""
        return f"{source}, line {self.line}: {self.detail} (rule {self.rule.value}); {REMEDY[self.rule]}"
