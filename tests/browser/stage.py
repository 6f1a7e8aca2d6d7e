"""The home that browsers and crawlers walk through: a bit of everything, and canaries wherever a person could be named.

Whatever must not be seen by everybody holds the word CANARY and the name of the resource that it comes from, so that one
search says whether something got out, and whose it was.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from gridkeeper import clock
from gridkeeper.cli.wiring import wired
from gridkeeper.config import Home
from gridkeeper.database import writing
from gridkeeper.editions.publishing import publish
from gridkeeper.federation.downtimes import store
from gridkeeper.federation.downtimes.announcing import Wish, drafted
from gridkeeper.federation.watching import Watch
from gridkeeper.intake import waiting
from gridkeeper.queries.periods import last_full_week
from gridkeeper.records import checks
from gridkeeper.records.draft import Delivery
from gridkeeper.reports.contract import Request
from gridkeeper.reports.registry import reports
from gridkeeper.summaries.corrections import keeping
from gridkeeper.summaries.corrections.reading import files_of, read_corrections
from gridkeeper.trust.tokens import create
from gridkeeper.web.noticeboard import Noticeboard
from tests.collectors import collector
from tests.federation import invented_topology
from tests.homes import InventedHome
from tests.live_collector import Live

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CANARY = "canary7391"
SITES = (
    "Springfield", "Shelbyville", "Ogdenville", "North Haverbrook", "Brockway", "Capital City", "Cypress Creek", "Saint Mary's",
    "Zürich", "Terror Lake", "Little Pwagmattasquarmsettport", "Guadalupe", "Waverly Hills",
)  # fmt: skip
ALPHA, BETA = "alpha-1", "beta-2"  # the resources of Springfield and of Shelbyville
VOS = ("cms", "atlas", "Phys/Ünit")
DAYS = 40
REFUSED_BEFORE = {ALPHA: 3, BETA: 4}
SILENT_PLACE = 2
SILENT_FOR = timedelta(days=9)
PATIENCE_S = 60.0
_COLUMNS = "JobID|JobIDRaw|Cluster|Partition|Account|Group|User|Submit|Start|End|ElapsedRaw|TotalCPU|ExitCode|State|NNodes|NCPUS|NodeList|JobName"
SCHEDULES = """
[[schedule]]
name = "production"
report = "production"
period = "week"
day = 2
formats = ["html", "json"]

[[schedule]]
name = "site-vo"
report = "site-vo"
period = "month"
day = 3
formats = ["xlsx"]
"""


def resource_of(number: int) -> str:
    """`alpha-1`, `beta-2`, `ce-3`, ..."""
    return {0: ALPHA, 1: BETA}.get(number, f"ce-{number + 1}")


def federation() -> str:
    """The registry, as `federation.yaml` says it."""
    resources = "\n".join(
        f'  - {{name: {resource_of(number)}, site: "{site}", facility: "University of {site}", owners: {{cms: 60}}, '
        f'probes: ["slurm:{resource_of(number)}"]}}'
        for number, site in enumerate(SITES)
    )
    return f"""
federation: {{name: Springfield Grid, grid: OSG, week_start: tuesday}}
vos:
  - {{name: cms, experiments: [{{name: higgs}}], home_sites: [Springfield]}}
  - {{name: atlas}}
  - {{name: Phys/Ünit}}
vo_lists: {{opportunistic: [atlas]}}
resources:
{resources}
mapping:
  - {{when: {{account: higgs}}, vo: higgs, grid: OSG, project: mixing}}
  - {{when: {{account: cms}}, vo: cms, grid: OSG}}
  - {{when: {{account: atlas}}, vo: atlas, grid: OSG}}
  - {{when: {{account: unit}}, vo: Phys/Ünit, grid: OSG}}
"""


def person(name: str, resource: str) -> str:
    """A canary: somebody's name at a resource."""
    return f"{CANARY}-{name}-{resource}"


def sacct(resource: str, lines: Iterable[str]) -> str:
    """What `sacct` prints."""
    return "\n".join([_COLUMNS, *lines]) + "\n"


def job(
    resource: str, number: int, end: datetime, *, account: str = "cms", user: str = "alice", hours: float = 2, cores: int = 8,
    cpu: float = 0.8, state: str = "COMPLETED", wall_s: str | None = None,
) -> str:  # fmt: skip
    """One line of `sacct`; `wall_s` in place of the true one makes a record that is refused."""
    seconds = int(hours * 3600)
    start = end - timedelta(seconds=seconds)
    used = int(seconds * cores * cpu)
    clock_text = f"{used // 86_400}-{used // 3600 % 24:02d}:{used // 60 % 60:02d}:{used % 60:02d}"
    moments = [f"{one:%Y-%m-%dT%H:%M:%S}" for one in (start - timedelta(minutes=5), start, end)]
    return "|".join(
        [
            str(number), str(number), resource, "batch", account, "staff", person(user, resource), *moments, wall_s or str(seconds),
            clock_text, "0:0", state, "1", str(cores), f"{CANARY}-node-{resource}", f"{CANARY}-jobname-{resource}",
        ]
    )  # fmt: skip


def _jobs(place: int, last: datetime) -> Iterable[str]:
    """A resource's work: each day, an hour before noon on, of three accounts and two people."""
    resource = resource_of(place)
    last = last.replace(hour=11, minute=0, second=0, microsecond=0)
    for day in range(DAYS):
        end = last - timedelta(days=day)
        cpu = 0.95 - 0.06 * place
        yield job(
            resource, day * 10 + 1, end, account="higgs" if place % 2 else "cms", cpu=cpu, cores=8 + place
        )
        yield job(
            resource,
            day * 10 + 2,
            end,
            account="atlas",
            user="bob",
            cpu=0.7,
            state="FAILED" if day % 5 == 0 else "COMPLETED",
        )
        if place < 3:
            yield job(resource, day * 10 + 3, end, account="unit", user="carol", hours=11, cores=1)


def _gratia(number: int, at: datetime, kind: str, extra: str) -> str:
    return f"""<JobUsageRecord xmlns="http://www.gridforum.org/2003/ur-wg" xmlns:urwg="http://www.gridforum.org/2003/ur-wg">
<RecordIdentity urwg:recordId="se.example.org:{kind}.{number}" urwg:createTime="{at:%Y-%m-%dT%H:%M:%SZ}"/>
<JobIdentity><GlobalJobId>{kind}#{number}</GlobalJobId><LocalJobId>{number}</LocalJobId></JobIdentity>
<UserIdentity><LocalUserId>{person("dora", ALPHA)}</LocalUserId><DN>/DC=org/DC=example/CN={person("dora", ALPHA)}</DN>
<GlobalUsername>{person("dora", ALPHA)}</GlobalUsername><VOName>/cms/Role=NULL</VOName><ReportableVOName>cms</ReportableVOName></UserIdentity>
<MachineName>{CANARY}-machine-{ALPHA}</MachineName><SubmitHost>{CANARY}-host-{ALPHA}</SubmitHost>
<WallDuration>PT1H</WallDuration><CpuDuration urwg:usageType="user">PT50M</CpuDuration><CpuDuration urwg:usageType="system">PT1M</CpuDuration>
<StartTime>{at - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}</StartTime><EndTime>{at:%Y-%m-%dT%H:%M:%SZ}</EndTime>
<Processors urwg:metric="max">1</Processors>{extra}<Status>0</Status>
<ProbeName>{kind}:{ALPHA}</ProbeName><SiteName>{ALPHA}</SiteName><Grid>OSG</Grid><Njobs>1</Njobs></JobUsageRecord>"""


def _transfers(last: datetime) -> str:
    extra = (
        '<Network urwg:metric="total" urwg:storageUnit="b">123456789000</Network><Resource urwg:description="Protocol">gsiftp</Resource>'
        f'<Resource urwg:description="Source">{CANARY}-far-{ALPHA}</Resource><Resource urwg:description="IsNew">1</Resource>'
        '<Resource urwg:description="ResourceType">Storage</Resource>'
    )
    records = [_gratia(day, last - timedelta(days=day), "dcache-transfer", extra) for day in range(DAYS)]
    batch = '<Resource urwg:description="ResourceType">Batch</Resource>'
    records += [_gratia(day, last - timedelta(days=day), "condor", batch) for day in range(5)]
    return "<RecordEnvelope>" + "\n".join(records) + "</RecordEnvelope>"


def _storage(at: datetime) -> str:
    return f"""<RecordEnvelope><StorageElement xmlns:urwg="http://www.gridforum.org/2003/ur-wg"><UniqueID>SE:{ALPHA}</UniqueID>
<SE>SE</SE><Name>SE</Name><VO>cms</VO><OwnerDN>/DC=org/DC=example/CN={person("erin", ALPHA)}</OwnerDN><SpaceType>SE</SpaceType>
<Timestamp>{at:%Y-%m-%dT%H:%M:%SZ}</Timestamp><Implementation>dCache</Implementation><Status>Production</Status>
<ProbeName>dCache-storage:{ALPHA}</ProbeName><SiteName>{ALPHA}</SiteName><Grid>OSG</Grid></StorageElement>
<StorageElementRecord xmlns:urwg="http://www.gridforum.org/2003/ur-wg"><UniqueID>SE:{ALPHA}</UniqueID><MeasurementType>raw</MeasurementType>
<StorageType>disk</StorageType><Timestamp>{at:%Y-%m-%dT%H:%M:%SZ}</Timestamp><TotalSpace>158961960684544</TotalSpace>
<UsedSpace>125757757218816</UsedSpace><FreeSpace>33204203465728</FreeSpace><FileCount>37032</FileCount>
<ProbeName>dCache-storage:{ALPHA}</ProbeName></StorageElementRecord></RecordEnvelope>"""


@dataclass
class Stage:
    """The served home, and tokens for who looks."""

    live: Live
    url: str
    tokens: dict[str, str]
    engine: Any
    today: datetime

    def close(self) -> None:
        """End the collector."""
        self.live.stop()
        self.engine.dispose()

    def client(self, role: str | None = None) -> httpx.Client:
        """Somebody who asks without a browser. role: a key of `tokens`; None: the public."""
        headers = {"Authorization": f"Bearer {self.tokens[role]}"} if role else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False)

    def send(self, resource: str, text: str, kind: str = "sacct") -> str:
        """Send a text as the resource's probe does. Returns: the batch's name."""
        with self.client(f"probe of {resource}") as probe:
            answer = probe.post(
                f"/api/v1/batches?format={kind}&resource={resource}&probe=slurm:{resource}",
                content=text.encode(),
            )
            assert answer.status_code == 202, answer.text
            return str(answer.json()["batch"])

    def wait_until_loaded(self) -> None:
        """Wait until nothing waits in the inbox."""
        until = time.monotonic() + PATIENCE_S
        while waiting.oldest(self.engine)[0] is not None:
            assert time.monotonic() < until, "what was received is not loaded"
            time.sleep(0.1)


def _registry() -> dict[str, str]:
    """The files of a registry beside `federation.yaml`: alpha's services, contacts of whom one id has two names, and a downtime of old."""
    place = "topology/University of Springfield/Springfield"
    people = "".join(
        f"      {kind}: {{Primary: {{Name: {name}, ID: a11ce}}}}\n"
        for kind, name in (("Security Contact", "Frank"), ("Resource Report Contact", "Grace"))
    )
    group = (
        f"Production: true\nGroupID: 7\nSupportCenter: Help\nResources:\n  {ALPHA}:\n    ID: 11\n    FQDN: alpha.example.org\n    Active: true\n"
        f"    ContactLists:\n{people}    Services:\n      CE: {{Description: Gateway}}\n      XRootD component: {{Description: Files}}\n"
    )
    downtime = (
        f"- Class: SCHEDULED\n  ID: 501\n  Description: new cooling\n  Severity: Outage\n  StartTime: Feb 20, 2017 08:00 -0500\n"
        f"  EndTime: Feb 22, 2017 08:00 -0500\n  CreatedTime: Feb 20, 2017 07:00 -0500\n  ResourceName: {ALPHA}\n  Services:\n    - CE\n"
    )
    return {
        "topology/services.yaml": "CE: 1\nXRootD component: 142\n",
        "topology/support-centers.yaml": "Help: {ID: 3, Community: Springfield}\n",
        "topology/University of Springfield/FACILITY.yaml": "ID: 100\n",
        f"{place}/SITE.yaml": "ID: 200\nLatitude: 40.0\nLongitude: -89.5\n",
        f"{place}/SPR.yaml": group,
        f"{place}/SPR_downtime.yaml": downtime,
    }


def _announce(folder: Path, engine: Any, now: datetime) -> None:
    """Let alpha be down since an hour ago, at somebody's word, and all of it tomorrow."""
    directory = Noticeboard(Watch(Home(folder)), engine).files().directory
    for hours, services, text in ((-1, ("CE",), "a broken pump"), (24, (), "new cooling")):
        start = now + timedelta(hours=hours)
        wish = Wish(
            until=f"{start + timedelta(hours=8):%Y-%m-%dT%H:%M}", description=text, resources=(ALPHA,), services=services,
            start=f"{start:%Y-%m-%dT%H:%M}",
        )  # fmt: skip
        with writing(engine) as connection:
            store.announce(
                connection,
                drafted(directory, wish, now),
                f"{CANARY}-announcer-{ALPHA}",
                now,
                "the alarm rang",
            )


def set_up(folder: Path) -> Stage:
    """Fill a home and serve it. One resource fell silent; alpha and beta each sent records that are refused."""
    now = clock.now().astimezone(UTC)
    invented = InventedHome(folder, federation())
    for place in range(len(SITES)):
        resource = resource_of(place)
        last = now - timedelta(days=1) - (SILENT_FOR if place == SILENT_PLACE else timedelta(0))
        invented.load(
            sacct(resource, _jobs(place, last)),
            "sacct",
            Delivery(last, probe=f"slurm:{resource}", resource=resource),
        )
    invented.load(_transfers(now - timedelta(hours=3)), "gratia-xml", Delivery(now, resource=ALPHA))
    invented.load(_storage(now - timedelta(hours=3)), "gratia-xml", Delivery(now, resource=ALPHA))
    invented.books()
    home = Home(folder)
    home.settings.write_text(SCHEDULES, encoding="utf-8")
    invented_topology.put(folder, _registry())
    engine = wired(folder).database()
    _announce(folder, engine, now)
    tokens = _tokens(engine)
    _refuse_by_an_older_release(folder, tokens, now)
    made = Stage(Live(folder, "--commit-seconds", "1"), "", tokens, engine, now)
    made.url = f"http://127.0.0.1:{made.live.port}"
    for resource in (ALPHA, BETA):
        good = job(resource, 90_001, now - timedelta(hours=4))
        bad = [
            job(resource, 90_002 + number, now - timedelta(hours=4), wall_s=f"{CANARY}-text-{resource}")
            for number in range(3)
        ]
        made.send(resource, sacct(resource, [good, *bad]))
        beat = {"probe": f"slurm:{resource}", "resource": resource, "version": "0.1.0"}
        with made.client(f"probe of {resource}") as probe:
            answer = probe.post("/api/v1/heartbeats", json=beat)
            assert answer.status_code == 202, answer.text
    made.wait_until_loaded()
    _correct_and_publish(folder, now)
    return made


def _correct_and_publish(folder: Path, now: datetime) -> None:
    """Put a correction in force, and publish last week's report with it; both by somebody whom not everybody may see."""
    place = wired(folder)
    place.home.corrections.mkdir()
    days = f"{{first: {now - timedelta(days=20):%Y-%m-%d}, last: {now - timedelta(days=2):%Y-%m-%d}}}"
    (place.home.corrections / "alpha.yaml").write_text(
        f"corrections: [{{id: alpha-lab, reason: The laboratory did not say its project, author: {person('frank', ALPHA)}, ticket: GOC-1, "
        f"period: {days}, match: {{resource: {ALPHA}}}, set: {{project: springfield-lab}}}}]\n",
        encoding="utf-8",
    )
    who = person("frank", ALPHA)
    keeping.apply(place.database(), read_corrections(files_of(place.home.corrections)), who)
    week = last_full_week(now.date(), "tuesday")
    for name in ("production", "site-vo"):
        request = Request(week, now)
        publish(place.database(), place.home.editions, place.books(), reports()[name], request, who, now)


def _refuse_by_an_older_release(folder: Path, tokens: dict[str, str], now: datetime) -> None:
    """Let records be refused by a release that held every end of the last days for one in the future; the one served is mended."""
    older = collector(folder, federation=federation())
    with pytest.MonkeyPatch.context() as release:
        release.setattr(checks, "FUTURE_TOLERANCE_DAYS", -5)
        for resource, count in REFUSED_BEFORE.items():
            lines = [job(resource, 80_000 + number, now - timedelta(hours=5)) for number in range(count)]
            probe = older.client(tokens[f"probe of {resource}"])
            path = f"/api/v1/batches?format=sacct&resource={resource}&probe=slurm:{resource}"
            answer = probe.post(path, content=sacct(resource, lines).encode())
            assert answer.status_code == 202, answer.text
        older.load()
    older.services.reading.close()
    older.close()


def _tokens(engine: Any) -> dict[str, str]:
    def token(role: Any, **bound: Any) -> str:
        return create(engine, role=role, who="local carol", **bound).text

    made = {
        f"probe of {one}": token("probe", name=f"{CANARY}-token-{one}", resources=[one])
        for one in (ALPHA, BETA)
    }
    made |= {role: token(role, name=f"the {role}") for role in ("viewer", "operator", "admin")}
    made["site-contact"] = token("site-contact", name="the contact of Springfield", sites=[SITES[0]])
    made["vo-contact"] = token("vo-contact", name="the contact of cms", vos=["cms"])
    return made
