"""Makes Gratia records of invented jobs, plain ones and odd ones, for the tests of the two Gratia formats."""

from __future__ import annotations

from random import Random

NAMESPACES = 'xmlns="http://www.gridforum.org/2003/ur-wg" xmlns:urwg="http://www.gridforum.org/2003/ur-wg"'


def job(number: int = 1, **changes: str) -> str:
    """One plain record of the size that probes send; `changes` replace the text of an element by its name."""
    texts = {
        "LocalUserId": "alice", "VOName": "/physics/Role=NULL/Capability=NULL", "ReportableVOName": "physics",
        "WallDuration": "PT1H", "StartTime": "2025-03-01T10:00:00Z", "EndTime": "2025-03-01T11:00:00Z",
        "Processors": "4", "Queue": "5", "ProbeName": "condor:ce.example.org", "SiteName": "EXAMPLE_CE",
    } | changes  # fmt: skip
    elements = "".join(f"\t<{name}>{text}</{name}>\n" for name, text in list(texts.items())[3:])
    identity = "".join(f"\t<{name}>{text}</{name}>\n" for name, text in list(texts.items())[:3])
    return (
        f'<JobUsageRecord {NAMESPACES}>\n<RecordIdentity urwg:recordId="ce.example.org:7.{number}" '
        f'urwg:createTime="2025-03-01T12:00:00Z"/>\n<JobIdentity>\n'
        f"\t<GlobalJobId>condor.ce.example.org#{number}.0#1740823200</GlobalJobId>\n"
        f"\t<LocalJobId>{number}</LocalJobId>\n</JobIdentity>\n<UserIdentity>\n{identity}</UserIdentity>\n"
        f'\t<CpuDuration urwg:usageType="user">PT50M</CpuDuration>\n{elements}'
        f'\t<Network urwg:phaseUnit="PT{number}S" urwg:storageUnit="b">0</Network>\n'
        f'\t<Resource urwg:description="ResourceType">Batch</Resource>\n</JobUsageRecord>'
    )


_LOCALS = (
    "Queue", "Host", "Processors", "WallDuration", "CpuDuration", "Resource", "TimeDuration", "Network", "Memory", "Status",
    "VOName", "LocalJobId", "JobIdentity", "UserIdentity", "RecordIdentity", "Novelty", "Host_description", "RecordId",
)  # fmt: skip
_PREFIXES = ("", "", "", "urwg:", "urf:")
_ODD_NAMES = ("x:y:Queue", "é", ":", "1a", "a:", "-b")
_ATTRIBUTES = (
    "description", "type", "usageType", "storageUnit", "recordId", "metric", "xmlns:urwg", "xsi:type", "primary",
)  # fmt: skip
_PIECES = (
    "a", "7", "PT5S", " ", "\n", "\t", "é", "&amp;", "&#233;", "&#x2028;", "'", "|", "true", "user", "ResourceType", "ExitCode",
    "condor.JobStatus", "CumulativeSuspensionTime", "storageUnit", "b",
)  # fmt: skip
_ODD_PIECES = (
    "&", "&nothing;", "&#0;", "&#xD800;", "&#13;", "&#10;", ">", "<", "]]>", "\r", "\x07", "\x7f", "\ufffe", '"', "<!-- c -->",
    "<![CDATA[<x>&]]>", "<?pi x?>", "<a", "</a>", "<!DOCTYPE a>",
)  # fmt: skip
_BLANKS = ("", "", " ", "\n", "\t ", "\u00a0")


def any_records(seed: int) -> list[bytes]:
    """Records, sound and broken, of which each begins with `<` and ends with `>`; the same for the same seed."""
    return [_Writer(Random(seed * 10 + number)).record() for number in range(1 + seed % 4)]


class _Writer:
    """Writes one record; an odd one may hold anything anywhere."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._oddness = random.choice((0.0, 0.0, 0.03, 0.3))

    def record(self) -> bytes:
        name = self._one_of(_PREFIXES) + "JobUsageRecord"
        body = "".join(self._element(0) for _ in range(self._random.randint(0, 8)))
        record = bytearray(f"<{name}>{body}</{name}>".encode())
        if self._oddly():
            place = self._random.randrange(1, len(record) - 1)
            record[place : place + self._random.randint(0, 2)] = self._random.randbytes(
                self._random.randint(0, 2)
            )
        return bytes(record)

    def _one_of(self, choices: tuple[str, ...]) -> str:
        return self._random.choice(choices)

    def _oddly(self) -> bool:
        return self._random.random() < self._oddness

    def _blank(self) -> str:
        return self._one_of(_BLANKS) if self._oddly() else self._one_of(_BLANKS[:-1])

    def _text(self) -> str:
        pieces = self._random.choices(_PIECES, k=self._random.randint(0, 3))
        return "".join(self._one_of(_ODD_PIECES) if self._oddly() else piece for piece in pieces)

    def _attributes(self) -> str:
        count = self._random.randint(0, 3)
        names = (
            self._random.choices(_ATTRIBUTES, k=count)
            if self._oddly()
            else self._random.sample(_ATTRIBUTES, count)
        )
        made = ""
        for name in names:
            quote = self._one_of(('"', '"', "'"))
            value = self._text() if self._oddly() else self._text().replace(quote, "")
            prefix = "" if ":" in name else self._one_of(_PREFIXES)
            made += f" {prefix}{name}{self._blank()}={self._blank()}{quote}{value}{quote}"
        return made + self._blank()

    def _element(self, depth: int) -> str:
        name = self._one_of(_ODD_NAMES) if self._oddly() else self._one_of(_PREFIXES) + self._one_of(_LOCALS)
        tag = name + self._attributes()
        if self._random.random() < 0.1:
            return f"<{tag}/>"
        if depth < 3 and self._random.random() < 0.25:
            inside = "".join(self._element(depth + 1) for _ in range(self._random.randint(0, 3)))
        else:
            inside = self._text()
        end = self._one_of(_LOCALS) if self._oddly() else name
        return f"<{tag}>{inside}</{end}{self._blank()}>{self._blank()}"
