"""With redaction, names of people leave the site only as hashes, the same everywhere."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gridkeeper.formats.registry import format_named
from gridkeeper.probes.configuration import load
from gridkeeper.probes.errors import BadSettings
from gridkeeper.probes.hashed_names import Names
from gridkeeper.probes.redaction import redactor_for
from gridkeeper.records.draft import Delivery
from tests.formats.cases import parse
from tests.probes.fake_site import NOON, Site

if TYPE_CHECKING:
    from tests.probes.fake_collector import FakeCollector

NAMES = Names(b"0123456789abcdef")
ALICE = NAMES.name(b"alice").decode()
HEADER = b"JobID|Account|Group|User|UID|Start|End|State|WorkDir|NodeList|JobName\n"


def redacted(format_name: str, text: str, preamble: bytes = b"", also: tuple[str, ...] = ()) -> str:
    return redactor_for(format_name, NAMES, also).text(text.encode(), preamble).decode()


def test_a_hash_needs_the_key_and_is_the_same_for_the_same_name() -> None:
    assert re.fullmatch(r"hashed-[0-9a-f]{20}", ALICE)
    assert NAMES.name(b"alice").decode() == ALICE
    assert NAMES.name(ALICE.encode()).decode() == ALICE
    assert Names(b"another key 0123").name(b"alice").decode() != ALICE
    assert NAMES.address(b"alice@example.org").decode() == f"{ALICE}@example.org"


@pytest.mark.parametrize(
    "subject", ["/DC=org/CN=alice@example.org/CN=Alice Smith", "/O=x/emailAddress=alice@example.org"]
)
def test_a_subject_with_an_address_in_it_is_hashed_as_a_whole(subject: str) -> None:
    assert re.fullmatch(r"hashed-[0-9a-f]{20}", NAMES.address(subject.encode()).decode())


def test_sacct_keeps_what_is_counted_and_hides_who(site: Site) -> None:
    line = "7|physics|alice|alice|1001|s|e|CANCELLED by 1001|/home/alice|n1|alice's|fit"
    uid = NAMES.name(b"1001").decode()
    assert redacted("sacct", line + "\n", HEADER) == (
        f"7|physics|{ALICE}|{ALICE}|{uid}|s|e|CANCELLED by {uid}|||\n"
    )


def test_sacct_with_one_free_text_column_keeps_all_others() -> None:
    header = b"JobID|User|State|NodeList|JobName\n"
    assert redacted("sacct", "7|alice|X|n1|a|b|c\nrest of alice's name\n8|bob|X|n2|c\n", header) == (
        f"7|{ALICE}|X|n1|\n8|{NAMES.name(b'bob').decode()}|X|n2|\n"
    )


def test_pbs_hides_users_owners_and_names_of_jobs() -> None:
    line = '11/23/2026 11:00:00;E;7.server;user=alice group=alice account="alice" jobname=alices-fit queue=q owner=alice@node1.example.org end=1 Resource_List.ncpus=4'
    assert redacted("pbs", line + "\n") == (
        f"11/23/2026 11:00:00;E;7.server;user={ALICE} group={ALICE} account={ALICE} jobname=redacted queue=q "
        f"owner={ALICE}@node1.example.org end=1 Resource_List.ncpus=4\n"
    )
    assert redacted("pbs", "x;D;7.server;requestor=alice@h1\n") == f"x;D;7.server;requestor={ALICE}@h1\n"


AD = """\
AccountingGroup = "group_physics.alice"
AcctGroup = "group_physics"
Owner = "alice"
User = "alice@example.org"
x509userproxysubject = "/DC=org/DC=example/CN=Alice Smith 42"
x509UserProxyFQAN = "/DC=org/DC=example/CN=Alice Smith 42,/cms/Role=pilot/Capability=NULL"
x509UserProxyFirstFQAN = "/cms/Role=pilot/Capability=NULL"
Iwd = "/home/alice"
Args = "--user \\"alice\\""
SUBMIT_Cmd = "/home/alice/run.sh"
NumShadowStarts = 1
ClusterId = 7
GlobalJobId = "ap1.example.org#7.0#1"
OsUser = strcat("ali", "ce")
RemoteUserCpu = 12.5
MyMail = "alice@example.org"
*** Offset = 0 ClusterId = 7 ProcId = 0 Owner = "alice" CompletionDate = 1 CurrentTime = 1
Owner = "cms"
AcctGroup = "cms"
x509UserProxyVOName = "cms"
*** Offset = 9 ClusterId = 8 ProcId = 0 Owner = "cms" CompletionDate = 1 CurrentTime = 1
"""


def test_condor_hides_people_and_their_homes_and_keeps_groups() -> None:
    text = redacted("condor-history", AD, also=("MyMail",))
    cms = NAMES.name(b"cms").decode()
    assert "lice" not in text
    assert (
        f'AccountingGroup = "group_physics.{ALICE}"\nAcctGroup = "group_physics"\nOwner = "{ALICE}"\n' in text
    )
    assert f'User = "{ALICE}@example.org"\n' in text
    assert ',/cms/Role=pilot/Capability=NULL"\nx509UserProxyFirstFQAN = "/cms/Role' in text
    assert 'Iwd = ""\nArgs = ""\nSUBMIT_Cmd = ""\nNumShadowStarts = 1\n' in text
    assert "OsUser = undefined\nRemoteUserCpu = 12.5\n" in text
    assert f'ProcId = 0 Owner = "{ALICE}" CompletionDate' in text
    assert f'Owner = "{cms}"\nAcctGroup = "{cms}"\nx509UserProxyVOName = "cms"\n' in text


def test_redacted_text_is_read_as_before_and_shipped_once(site: Site, collector: FakeCollector) -> None:
    (site.folder / "key").write_text("0123456789abcdef\n")
    site.set("redaction", enabled="yes", key_file=site.folder / "key")
    site.set("slurm", squeue=site.command("squeue", 'print("RUNNING|8|alice|alice")\n'))
    site.ended(1, NOON - timedelta(hours=1), JobName="x|y\nalice", Account="alice")
    site.once()
    site.once()
    (delivery,) = collector.deliveries
    assert "alice" not in delivery.text
    (parsed,) = parse(format_named("sacct"), delivery.text.encode(), Delivery(NOON))
    (user,) = parsed.tables["usage_records"].column("local_user").to_pylist()
    assert user == ALICE
    assert collector.heartbeats[0]["samples"][0]["account"] == ALICE


def test_redaction_of_an_unknown_format_is_refused_at_once(site: Site) -> None:
    site.sections["probe"]["kind"] = "file"
    del site.sections["slurm"]
    site.set("file", paths="/var/log/x", format="gratia-xml")
    site.set("redaction", enabled="yes", key_file="/etc/key")
    with pytest.raises(BadSettings, match="is possible for sacct, condor-history"):
        load(site.write_config())


def test_sacct_without_a_header_is_not_let_out_unredacted(site: Site, collector: FakeCollector) -> None:
    (site.folder / "key").write_text("0123456789abcdef\n")
    site.sections["probe"]["kind"] = "file"
    del site.sections["slurm"]
    site.set("file", paths=site.folder / "export.psv", format="sacct")
    site.set("redaction", enabled="yes", key_file=site.folder / "key")
    (site.folder / "export.psv").write_text("1|alice|x\n")
    assert "without a header cannot be redacted" in site.once().line
    assert collector.deliveries == []
