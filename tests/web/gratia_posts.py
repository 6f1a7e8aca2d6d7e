"""Makes posts as Gratia probes send them."""

from __future__ import annotations

from urllib.parse import urlencode


def record(number: int, site: str = "Utah-Kingspeak", wall_s: int = 3600, vo: str = "cms") -> str:
    """One job record."""
    return (
        '<JobUsageRecord xmlns="http://www.gridforum.org/2003/ur-wg" xmlns:urwg="http://www.gridforum.org/2003/ur-wg">\n'
        f'<RecordIdentity urwg:recordId="ce.example.org:{number}" urwg:createTime="2026-11-20T12:00:00Z"/>\n'
        f"<JobIdentity><GlobalJobId>ce.example.org#{number}.0#1700000000</GlobalJobId><LocalJobId>{number}</LocalJobId></JobIdentity>\n"
        f"<UserIdentity><LocalUserId>alice</LocalUserId><VOName>/{vo}</VOName><ReportableVOName>{vo}</ReportableVOName></UserIdentity>\n"
        f"<MachineName>ce.example.org</MachineName><Status>0</Status><WallDuration>PT{wall_s}S</WallDuration>\n"
        f'<CpuDuration urwg:usageType="user">PT{wall_s // 2}S</CpuDuration><CpuDuration urwg:usageType="system">PT0S</CpuDuration>\n'
        "<StartTime>2026-11-20T10:00:00Z</StartTime><EndTime>2026-11-20T12:00:00Z</EndTime><Processors>2</Processors>\n"
        f"<ProbeName>condor:ce.example.org</ProbeName><SiteName>{site}</SiteName><Grid>OSG</Grid><Njobs>1</Njobs>\n"
        '<Resource urwg:description="ResourceType">Batch</Resource></JobUsageRecord>'
    )


def handshake(site: str = "Utah-Kingspeak") -> str:
    """What a probe says at the beginning of each run."""
    return (
        '<ProbeDetails><RecordIdentity recordId="ce.example.org:1.0" createTime="2026-11-20T12:00:00Z"/>'
        f"<ProbeName>condor:ce.example.org</ProbeName><SiteName>{site}</SiteName><Grid>OSG</Grid>"
        '<ReporterLibrary version="2.8.4">Gratia</ReporterLibrary></ProbeDetails>'
    )


def envelope(*members: str) -> str:
    """Members in one text."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<RecordEnvelope>\n'
        + "\n".join(members)
        + "\n</RecordEnvelope>"
    )


def post(command: str, text: str, probe: str = "condor:ce.example.org", **figures: int) -> bytes:
    """The body of a post, in the order of fields that the client has."""
    told = {
        "xmlfiles": 0,
        "tarfiles": 0,
        "maxpendingfiles": 100_000,
        "backlog": 0,
        "bundlesize": 100,
    } | figures
    return urlencode({"command": command, "arg1": text, "from": probe, **told}).encode()
