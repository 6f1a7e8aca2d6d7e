"""`federation.yaml`: who to ask, what should report, what is down or disabled; and what of it changes no summary."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from gridkeeper.errors import BadConfiguration
from gridkeeper.federation.model import Contact, Disabled, Expected, Registry, read_registry

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = "resources: [{name: Kingspeak, site: Utah}]\n"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return tmp_path / "federation.yaml"


def read(path: Path, text: str) -> Registry:
    path.write_text(text, encoding="utf-8")
    return read_registry(path)


def test_contacts_are_read_of_resources_and_of_sites(written: Path) -> None:
    found = read(written, "sites: [{name: Utah, contacts: [{name: Utah operations, email: ops@utah.example.edu}]}]\n" + PLAIN)  # fmt: skip
    assert found.sites[0].contacts == (Contact(name="Utah operations", email="ops@utah.example.edu"),)
    assert found.resources[0].contacts == ()


@pytest.mark.parametrize(
    "said, meant",
    [
        ("true", Disabled()),
        ("false", None),
        (
            "{since: 2017-02-01, reason: switched off}",
            Disabled(since=date(2017, 2, 1), reason="switched off"),
        ),
    ],
)
def test_disabled_is_a_yes_or_a_day_with_a_reason(written: Path, said: str, meant: Disabled | None) -> None:
    assert read(written, f"resources: [{{name: A, disabled: {said}}}]").resources[0].disabled == meant


def test_downtimes_are_in_utc_where_they_name_no_zone(written: Path) -> None:
    text = """
    downtimes:
      - {resource: A, from: 2017-01-19, until: 2017-01-20T12:00:00-05:00, reason: new cooling}
      - {resource: B, from: 2017-01-19T08:30:00}
    """
    closed, still_open = read(written, text).downtimes
    assert closed.begin == datetime(2017, 1, 19, tzinfo=UTC)
    assert closed.until == datetime(2017, 1, 20, 17, tzinfo=UTC)
    assert (still_open.begin, still_open.until) == (datetime(2017, 1, 19, 8, 30, tzinfo=UTC), None)


def test_what_is_expected_may_be_a_pattern(written: Path) -> None:
    found = read(written, 'expected: [{resource: "*"}, {resource: A, probe: "slurm:a", since: 2017-01-01}]')
    assert found.expected[1] == Expected(resource="A", probe="slurm:a", since=date(2017, 1, 1))


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("downtimes: [{resource: A, from: 2017-01-20, until: 2017-01-20}]", "the downtime of A ends before it begins"),
        ("downtimes: [{resource: A}]", "downtimes › 0 › from"),
        ("sites: [{name: Utah}, {name: utah}]", "the site utah is there already"),
        ("resources: [{name: A, disabled: {when: 2017-01-01}}]", "disabled › when"),
        ("expected: [{probe: a}]", "expected › 0 › resource"),
        ("vos: [{name: a, experiments_period: 14}]", "vos › 0 › experiments_period: 14 is no number of days or weeks; write it as 10 days or 2 weeks"),
        ("vos: [{name: a, experiments_period: 0 days}]", "'0 days' is no number of days or weeks"),
        ("vos: [{name: a, experiments_period: 2 months}]", "'2 months' is no number of days or weeks"),
        ("vos: [{name: a, experiments_period: 53 weeks}]", "53 weeks is more than 366 days"),
        ("vos: [{name: a, experiments: [{name: b, experiments_period: 2 weeks}]}]", "experiments › 0 › experiments_period"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_place(written: Path, text: str, sentence: str) -> None:
    with pytest.raises(BadConfiguration, match=r"federation\.yaml") as refused:
        read(written, text)
    assert sentence in str(refused.value)


@pytest.mark.parametrize("said, days", [("2 weeks", 14), ("1 week", 7), ("10 days", 10), ("366 days", 366)])
def test_the_period_of_a_vos_experiments_is_days_or_weeks(written: Path, said: str, days: int) -> None:
    (vo,) = read(written, f"vos: [{{name: a, experiments_period: {said}}}]").vos
    assert vo.experiments_period == days


def test_what_a_report_shows_makes_no_summary_anew(written: Path) -> None:
    before = read(written, "vos: [{name: a}]").revision
    assert read(written, "vos: [{name: a, experiments_period: 2 weeks}]").revision == before
    assert read(written, "vos: [{name: a, aliases: [b]}]").revision != before


def test_a_new_downtime_or_contact_makes_no_summary_anew(written: Path) -> None:
    before = read(written, PLAIN).revision
    more = """
    downtimes: [{resource: Kingspeak, from: 2017-01-19}]
    expected: [{resource: "*"}]
    sites: [{name: Utah}]
    resources: [{name: Kingspeak, site: Utah, contacts: [{name: Utah operations}], disabled: true}]
    """
    assert read(written, more).revision == before
    assert read(written, PLAIN.replace("Utah", "Utah State")).revision != before
