"""Every slip in the configuration is one sentence with file, section, setting and remedy; every setting is described."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gridkeeper.probes import cli
from gridkeeper.probes.configuration import load
from gridkeeper.probes.errors import BadSettings
from gridkeeper.probes.settings import KINDS, SECTIONS

if TYPE_CHECKING:
    from tests.probes.fake_site import Site

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "probes.md").read_text(encoding="utf-8")
EXAMPLES = ROOT / "src" / "gridkeeper" / "probes" / "examples"


@pytest.mark.parametrize(
    ("section", "settings", "sentence"),
    [
        ("probe", {"colour": "red"}, "[probe] has no setting colour; there are name, kind, resource"),
        ("probe", {"kind": "lsf"}, "kind = lsf: write one of slurm, htcondor, pbs, file"),
        ("probe", {"name": "a b"}, "name = a b: letters, digits, dots"),
        ("probe", {"state_dir": "here"}, "state_dir = here: write the whole path, from / on"),
        ("probe", {"interval_s": "5"}, "interval_s = 5: write a whole number from 10 to 86400"),
        ("collector", {"url": "gridkeeper.example.org"}, "write an address such as https://"),
        ("collector", {"url": "https://me:secret@gridkeeper.example.org"}, "the token goes into token_file"),
        ("collector", {"url": "http://gridkeeper.example.org"}, "over http anybody on the way can read the token"),
        ("collector", {"allow_plain_http": "perhaps"}, "allow_plain_http = perhaps: write yes or no"),
        ("outbox", {"warn_hours": "48"}, "critical_hours must not be less than warn_hours"),
        ("slurm", {"since": "yesterday"}, "'yesterday' is not a moment such as 2026-11-23"),
        ("slurm", {"fields": "JobID, End"}, "fields lacks Submit, Start, State"),
        ("redaction", {"enabled": "yes"}, "key_file is missing"),
        ("pbs", {"accounting_dir": "/x"}, "[pbs] does not belong to a probe of kind 'slurm'"),
        ("colours", {"a": "b"}, "there is no section [colours]; there are [probe], [collector]"),
        ("DEFAULT", {"a": "b"}, "there is no section [DEFAULT]"),
    ],
)  # fmt: skip
def test_a_slip_is_said_with_its_place(
    site: Site, section: str, settings: dict[str, str], sentence: str
) -> None:
    site.set(section, **settings)
    with pytest.raises(BadSettings, match=re.escape(sentence)) as caught:
        load(site.write_config())
    assert str(caught.value).startswith(str(site.config))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "give one of per_job_history_dir and history_file"),
        ({"per_job_history_dir": "/a", "history_file": "/b"}, "give one of per_job_history_dir and history_file"),
        ({"per_job_history_dir": "/a", "after_shipping": "move"}, "belong together"),
    ],
)  # fmt: skip
def test_slips_of_htcondor(site: Site, settings: dict[str, str], sentence: str) -> None:
    site.sections["probe"]["kind"] = "htcondor"
    del site.sections["slurm"]
    site.set("htcondor", **settings)
    with pytest.raises(BadSettings, match=re.escape(sentence)):
        load(site.write_config())


def test_a_missing_setting_is_named(site: Site) -> None:
    del site.sections["probe"]["resource"]
    with pytest.raises(BadSettings, match=re.escape("[probe] resource is missing")):
        load(site.write_config())


def test_no_configuration_at_all(site: Site) -> None:
    site.config.write_bytes(b"\xff\xfe what")
    with pytest.raises(BadSettings, match="sample-config"):
        load(site.config)


@pytest.mark.parametrize("kind", KINDS)
def test_the_samples_are_right_and_show_every_setting(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["sample-config", kind]) == 0
    text = capsys.readouterr().out
    path = tmp_path / "sample.ini"
    path.write_text(text)
    assert load(path).probe.kind == kind
    for section in ("probe", "collector", "outbox", "redaction", kind):
        part = text.split(f"[{section}]", 1)[1].split("\n[", 1)[0]
        for entry in fields(SECTIONS[section]):
            assert re.search(rf"^(# )?(\.\.\. )?{entry.name} = ", part, re.MULTILINE), (
                f"{section}: {entry.name}"
            )


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_is_described_with_its_default(section: str) -> None:
    part = PAGE.split(f"\n### `[{section}]`", 1)[1].split("\n#", 1)[0]
    for entry in fields(SECTIONS[section]):
        assert f"| `{entry.name}` |" in part
        if isinstance(entry.default, int | str) and not isinstance(entry.default, bool):
            row = next(line for line in part.splitlines() if f"| `{entry.name}` |" in line)
            assert f"| {entry.default} |" in row


def test_the_page_names_every_exit_code_and_command() -> None:
    for word in (
        "OK",
        "WARNING",
        "CRITICAL",
        "UNKNOWN",
        "sample-config",
        "systemd-units",
        "doctor",
        "run --once",
        "--since",
    ):
        assert word in PAGE
